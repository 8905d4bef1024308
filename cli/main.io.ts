#!/usr/bin/env node
import {Command, CommanderError} from 'commander';
import {CODES, MailherdError} from '../base/errors.ts';
import {packageVersion} from '../base/version.io.ts';
import {Refused, Unavailable} from './client.io.ts';
import {operatorCommands} from './commands.io.ts';
import {initCommand} from './init.io.ts';
import {renderError} from './render.ts';

/** Exit codes; 69 and 78 are EX_UNAVAILABLE and EX_CONFIG of sysexits.h. */
const EXIT = {refused: 1, usage: 2, unavailable: 69, config: 78} as const;

/** Each service is loaded only when it is what runs: the agent's part holds native code, the operator's command needs none of it. */
const SERVICES: Record<string, {about: string; main: () => Promise<(words: string[]) => Promise<number>>}> = {
  agent: {
    about: 'the agent of this host (a service); on the host: agent check, agent once [--json]',
    main: async () => (await import('../agent/main.io.ts')).main,
  },
  coordinator: {about: 'a coordinator (a service)', main: async () => (await import('../coordinator/main.io.ts')).main},
};

/** A service reads its own words; it ends the process itself, for it may leave a connection that was never made. */
function serviceCommands(): Command[] {
  return Object.entries(SERVICES).map(([name, {about, main: load}]) =>
    new Command(name)
      .description(about)
      .argument('[words...]')
      .option('--config <file>', `its configuration (default: /etc/mailherd/${name}.yaml)`)
      .allowUnknownOption()
      .action(async (words: string[], {config}: {config?: string}) => {
        try {
          const run = await load();
          process.exit(await run([...words, ...(config === undefined ? [] : ['--config', config])]));
        } catch (error) {
          process.stderr.write(`mailherd ${name}: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
          process.exit(1);
        }
      }),
  );
}

/** @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('mailherd')
    .description('Runs a farm of Postfix and Dovecot hosts: judges, moves mailboxes, reinstalls, rebalances.')
    .version(packageVersion())
    .showHelpAfterError('(mailherd --help tells more)')
    .addHelpText(
      'after',
      '\nAPI address and token: /etc/mailherd/cli.yaml, or MAILHERD_API and MAILHERD_TOKEN.\nOn a mail host: mailherd agent check (what its agent can read, what not and why), mailherd agent once.\nExit codes: 0 done, 1 refused, 2 wrong usage, 69 no coordinator, 78 wrong configuration.',
    );
  for (const command of [...operatorCommands(), initCommand(), ...serviceCommands()]) program.addCommand(command);
  for (const command of allOf(program)) command.exitOverride();
  try {
    await program.parseAsync([...argv]);
    return 0;
  } catch (error) {
    return explain(error);
  }
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

/** One line for the reader, one code for the script. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
  if (error instanceof Unavailable) {
    complain(`mailherd: no coordinator is available (${error.message}). Is mailherd-coordinator running there? Try again shortly.`);
    return EXIT.unavailable;
  }
  if (error instanceof Refused) {
    complain(renderError(error.view));
    return error.view.error.code === 'NATS_DOWN' ? EXIT.unavailable : EXIT.refused;
  }
  if (error instanceof MailherdError) {
    const {code, detail, message} = error;
    if (code === 'CONFIG_INVALID') complain(`mailherd: ${[detail.file, detail.path, detail.reason].filter(Boolean).join(': ')}`);
    else complain(renderError({error: {code, detail: {...detail}}, next: CODES[code].next, message}));
    return code === 'CONFIG_INVALID' ? EXIT.config : EXIT.refused;
  }
  const text = error instanceof Error ? error.message : String(error);
  complain(`mailherd: ${text}`);
  return EXIT.refused;
}

function complain(line: string): void {
  process.stderr.write(`${line.replaceAll('\n', ' ')}\n`);
}

process.stdout.on('error', error => {
  // The reader has gone, as `| head` does: nothing is left to print for.
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0);
  throw error;
});
process.exitCode = await main(process.argv);
