import type {Command} from 'commander';
import {MailherdError} from '../../base/errors.ts';
import {audit, isClean, snapshot} from '../audit.io.ts';
import {auditText} from '../audit-text.ts';
import type {Farm} from '../farm.io.ts';
import {startHelper, stopHelper} from './control.io.ts';
import {BUSY, QUIET, type Rate, readRate, writeRate} from './rate.io.ts';
import {runTraffic} from './run.io.ts';

const STOP_TIMEOUT_MS = 90_000;

interface RateOptions {
  mails?: string;
  sessions?: string;
  watchers?: string;
  busy?: boolean;
}

function rateOf(options: RateOptions, present: Rate): Rate {
  const number = (text: string | undefined, fallback: number): number => {
    if (text === undefined) return fallback;
    const value = Number(text);
    if (!Number.isFinite(value) || value < 0)
      throw new MailherdError('INPUT_INVALID', {what: 'rate', value: text, reason: 'a number from 0'});
    return value;
  };
  const start = options.busy === true ? BUSY : present;
  return {
    mailsPerSecond: number(options.mails, start.mailsPerSecond),
    sessions: Math.round(number(options.sessions, start.sessions)),
    watchers: Math.round(number(options.watchers, start.watchers)),
  };
}

function withRate(command: Command): Command {
  return command
    .option('--mails <perSecond>', 'mails from outside a second')
    .option('--sessions <count>', 'mail programs at work')
    .option('--watchers <count>', 'mail programs that wait for mail')
    .option('--busy', 'business hours');
}

/** Traffic and its audit, as commands. */
export function addTrafficCommands(program: Command, farm: Farm): void {
  const traffic = program.command('traffic').description('real mail and real mail programs through the edge, noted in a ledger');
  withRate(traffic.command('start').description('note every mailbox as it is, then start')).action(async (options: RateOptions) => {
    writeRate(farm.paths, rateOf(options, QUIET));
    const startedMs = performance.now();
    farm.say(`${await snapshot(farm)} messages noted in ${Math.round(performance.now() - startedMs)} ms`);
    farm.say((await startHelper(farm.paths, 'traffic', ['traffic', 'run'])) ? 'traffic runs' : 'traffic runs already');
  });
  withRate(traffic.command('set').description('change the rate while it runs')).action((options: RateOptions) =>
    writeRate(farm.paths, rateOf(options, readRate(farm.paths))),
  );
  traffic
    .command('stop')
    .description('end it in order: every answer is awaited')
    .action(async () => {
      farm.say((await stopHelper(farm.paths, 'traffic', STOP_TIMEOUT_MS)) ? 'traffic has ended' : 'traffic did not run');
    });
  traffic
    .command('run')
    .description('make traffic in the foreground until it is interrupted')
    .action(() => runTraffic(farm.paths, farm.layout, untilInterrupted()));
  program
    .command('audit')
    .description('hold the ledger against the mailboxes; fails unless every promise was kept')
    .option('--json', 'one JSON object')
    .option('--wait <seconds>', 'how long queues may take to become empty', '120')
    .action(async (options: {json?: boolean; wait: string}) => {
      const result = await audit(farm, Number(options.wait) * 1_000);
      process.stdout.write(options.json === true ? `${JSON.stringify(result)}\n` : auditText(result));
      if (!isClean(result)) process.exitCode = 1;
    });
}

/** Ends at SIGTERM or SIGINT. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}
