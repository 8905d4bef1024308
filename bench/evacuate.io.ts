import {call} from '../farm/api.io.ts';
import {down, type Farm} from '../farm/farm.io.ts';
import {findHost, users} from '../farm/layout.ts';
import {runIn} from '../farm/machine/enter.io.ts';
import {readCorpus} from '../farm/mail/corpus.io.ts';
import {homeOf} from '../farm/mail/owned.io.ts';
import {hostPaths} from '../farm/paths.ts';
import {MovesView, PlanView} from '../wire/api.ts';
import {isSettled} from '../wire/record.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';
import {begin, moveFarm} from './move/farm.io.ts';
import {fillMaildir} from './move/mailbox.io.ts';

const SOURCE = 'm12a';
const TARGET = 'm12b';
const TIMEOUT_MS = 1_800_000;

export const benchmark: Benchmark = {
  summary: 'emptying a host by "evacuate", every mailbox verified, against one doveadm backup after the other; on a farm of its own (root)',
  options: {
    mailboxes: {type: 'string', default: '100', help: 'mailboxes on the host'},
    messages: {type: 'string', default: '1000', help: 'messages in each'},
    keep: {type: 'boolean', default: false, help: 'leave the farm up'},
  },
  async run(options, say) {
    const mailboxes = wholeNumber(options.mailboxes, 'mailboxes', 1, 1_000);
    const messages = wholeNumber(options.messages, 'messages', 1, 100_000);
    const farm = moveFarm(say, mailboxes);
    try {
      const access = await begin(farm, false);
      const names = users(farm.layout).flatMap(({user, host}) => (host === SOURCE ? [user] : []));
      await fill(farm, names, messages);
      const plainSeconds = await copyOneByOne(farm, names);
      const begun = performance.now();
      const {plan} = await call(access, 'POST', `/v1/hosts/${SOURCE}/evacuate`, PlanView, {dryRun: false});
      for (;;) {
        const {moves, waiting} = await call(access, 'GET', '/v1/moves', MovesView);
        const own = moves.filter(({planId}) => planId === plan.id);
        const ended = own.filter(isSettled);
        if (waiting.length === 0 && own.length > 0 && ended.length === own.length) {
          const seconds = (performance.now() - begun) / 1_000;
          const backedOut = own.filter(({step}) => step === 'backedOut').length;
          const figures = {plainSeconds: rounded(plainSeconds), seconds: rounded(seconds), ratio: rounded(plainSeconds / seconds)};
          return {mailboxes, messages, moves: own.length, backedOut, ...figures};
        }
        if (performance.now() - begun > TIMEOUT_MS) throw new Error(`${ended.length} of ${mailboxes} moves ended in half an hour`);
        await new Promise(resolve => setTimeout(resolve, 500));
      }
    } finally {
      if (options.keep !== true) await down(farm);
    }
  },
};

async function fill(farm: Farm, names: readonly string[], messages: number): Promise<void> {
  const corpus = await readCorpus(500);
  for (const [index, user] of names.entries()) {
    await fillMaildir(`${homeOf(hostPaths(farm.paths, SOURCE).store, user)}/Maildir`, messages, corpus, index);
    await runIn(farm.paths, SOURCE, ['doveadm', 'mailbox', 'status', '-u', user, 'guid messages vsize', '*']);
  }
  farm.say(`${names.length} mailboxes with ${messages} messages each`);
}

/** What an operator's loop does: `doveadm backup`, one mailbox after the other. The copies are removed. @returns seconds. */
async function copyOneByOne(farm: Farm, names: readonly string[]): Promise<number> {
  const address = findHost(farm.layout, TARGET)?.address ?? '';
  const begun = performance.now();
  for (const user of names)
    await runIn(farm.paths, SOURCE, ['doveadm', 'backup', '-u', user, `tcp:${address}:24245`], {timeoutMs: TIMEOUT_MS});
  await runIn(farm.paths, TARGET, ['sync', '-f', '/var/vmail']);
  const seconds = (performance.now() - begun) / 1_000;
  farm.say(`doveadm backup, one after the other: ${Math.round(seconds)} s`);
  for (const user of names) await runIn(farm.paths, TARGET, ['rm', '-rf', homeOf('/var/vmail', user)]);
  return seconds;
}
