import {seededRng} from '../../base/random.ts';
import {type Layout, type UserSpec, users} from '../layout.ts';
import {readCorpus} from '../mail/corpus.io.ts';
import {openLedger} from '../mail/ledger.io.ts';
import type {Paths} from '../paths.ts';
import {startOutside} from './outside.io.ts';
import {type Rate, readRate} from './rate.io.ts';
import {pause, runSender} from './sender.io.ts';
import {runSession, type SessionOptions} from './session.io.ts';
import {watch} from './watcher.io.ts';

const CORPUS_COUNT = 400;
const RATE_POLL_MS = 500;

/**
 * Makes traffic through the edge until the signal: mail from outside, mail programs at work, mail programs that wait. Follows
 * the rate file while it runs. Resolves when every sitting is over.
 */
export async function runTraffic(paths: Paths, layout: Layout, signal: AbortSignal): Promise<void> {
  const seed = Date.now();
  const run = `t${seed.toString(36)}`;
  const rng = seededRng(seed);
  const ledger = openLedger(paths.ledger);
  const outside = await startOutside(layout, ledger);
  const corpus = await readCorpus(CORPUS_COUNT);
  const everybody = users(layout);
  let rate = readRate(paths);
  const note = (): void => ledger.note({kind: 'rate', user: '', ...rate});
  note();
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      await pause(RATE_POLL_MS, signal);
      const next = readRate(paths);
      if (JSON.stringify(next) === JSON.stringify(rate)) continue;
      rate = next;
      note();
    }
  };
  const options: SessionOptions = {layout, corpus, ledger, rng: rng.fork('sessions'), run, signal};
  await Promise.all([
    follow(),
    runSender({layout, users: everybody, corpus, ledger, rng: rng.fork('sender'), run, perSecond: () => rate.mailsPerSecond, signal}),
    keepSessions(options, everybody, () => rate),
    keepWatchers({...options, rng: rng.fork('watchers')}, everybody, () => rate),
  ]);
  await outside.close();
  ledger.close();
}

/** As many sittings at once as the rate says, never two of one user. */
async function keepSessions(options: SessionOptions, everybody: readonly UserSpec[], rate: () => Rate): Promise<void> {
  const {rng, signal} = options;
  const busy = new Map<string, Promise<unknown>>();
  while (!signal.aborted) {
    const free = everybody.filter(each => !busy.has(each.user));
    if (busy.size < rate().sessions && free.length > 0) {
      const user = rng.pick(free);
      busy.set(
        user.user,
        runSession(options, user).finally(() => busy.delete(user.user)),
      );
    }
    await pause(rng.between(20, 120), signal);
  }
  await Promise.all(busy.values());
}

/** Waiting mail programs, spread over the hosts; more are added when the rate grows, none is ended before the end. */
async function keepWatchers(options: SessionOptions, everybody: readonly UserSpec[], rate: () => Rate): Promise<void> {
  const {signal} = options;
  const watching: Promise<void>[] = [];
  // Every 7th: 7 has no factor in common with the number of customers of a host, so all hosts are met
  const order = everybody.map((_, index) => everybody[(index * 7) % everybody.length]).filter(each => each !== undefined);
  while (!signal.aborted) {
    const next = order[watching.length];
    if (watching.length < rate().watchers && next !== undefined) watching.push(watch(options, next));
    await pause(50, signal);
  }
  await Promise.all(watching);
}
