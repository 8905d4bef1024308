import type {Farm} from './farm.io.ts';
import {users} from './layout.ts';
import {tryRunIn} from './machine/enter.io.ts';
import {isAlive, readState} from './machine/state.io.ts';
import {delaysOf, type Felt, felt, quantile} from './mail/felt.ts';
import {type Judgement, judge} from './mail/judge.ts';
import {openLedger, readLedger} from './mail/ledger.io.ts';
import {readMailboxes} from './mail/read-mailbox.io.ts';

export interface Audit extends Judgement {
  bounced: number;
  refused: number;
  /** How long the audit waited for the last queue to become empty; null = one did not. */
  queuesEmptyAfterMs: number | null;
  queuesLeft: Record<string, number>;
  /** From accepted until a waiting mail program was told; over the whole run. */
  delayMsP50: number | null;
  delayMsP95: number | null;
  delayMsMax: number | null;
  felt: Felt[];
}

/** Reads every mailbox and notes what is there: from now on all of it must stay. @returns messages noted. */
export async function snapshot({paths, layout}: Farm): Promise<number> {
  const ledger = openLedger(paths.ledger);
  let count = 0;
  for (const {user, folders} of await readMailboxes(layout, users(layout))) {
    for (const {folder, uidValidity, messages} of folders) {
      for (const {uid, messageId, flags} of messages) {
        ledger.note({kind: 'known', user, folder, uidValidity, uid, messageId, flags: [...flags]});
        count++;
      }
    }
  }
  ledger.close();
  return count;
}

/** Messages in the queues of every running host, the agents' own probes left out. */
export async function queuedMail({paths, layout}: Farm): Promise<Record<string, number>> {
  const {machines} = await readState(paths);
  const counts: Record<string, number> = {};
  const asked = layout.hosts
    .filter(spec => spec.role !== 'control' && machines[spec.name] !== undefined)
    .map(async spec => {
      const machine = machines[spec.name];
      if (machine === undefined || !isAlive(machine.init)) return;
      const {code, stdout} = await tryRunIn(paths, spec.name, ['postqueue', '-j']);
      const lines = stdout.split('\n').filter(Boolean);
      counts[spec.name] = code === 0 ? lines.filter(line => !line.includes('@probe.mailherd.invalid')).length : Number.NaN;
    });
  await Promise.all(asked);
  return counts;
}

async function waitForQueues(farm: Farm, timeoutMs: number): Promise<Pick<Audit, 'queuesEmptyAfterMs' | 'queuesLeft'>> {
  const startedMs = performance.now();
  for (;;) {
    const counts = await queuedMail(farm);
    const left = Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
    const tookMs = Math.round(performance.now() - startedMs);
    if (Object.keys(left).length === 0) return {queuesEmptyAfterMs: tookMs, queuesLeft: {}};
    if (tookMs > timeoutMs) return {queuesEmptyAfterMs: null, queuesLeft: left};
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

const BUCKET_MS = 10_000;
const LATE_MS = 5_000;

/** Holds the ledger against the mailboxes, when the queues are empty (or `timeoutMs` is over). Traffic must have ended. */
export async function audit(farm: Farm, timeoutMs: number): Promise<Audit> {
  const queues = await waitForQueues(farm, timeoutMs);
  const customers = users(farm.layout);
  const mailboxes = await readMailboxes(farm.layout, customers);
  const entries = readLedger(farm.paths.ledger);
  const arrivals = mailboxes.flatMap(mailbox => mailbox.arrivals);
  const delays = delaysOf(entries, arrivals).flatMap(each => (each.seenMs === null ? [] : [each.seenMs]));
  return {
    ...judge(entries, mailboxes),
    bounced: entries.filter(entry => entry.kind === 'bounced').length,
    refused: entries.filter(entry => entry.kind === 'refused').length,
    ...queues,
    delayMsP50: quantile(delays, 0.5),
    delayMsP95: quantile(delays, 0.95),
    delayMsMax: quantile(delays, 1),
    felt: entries.length === 0 ? [] : felt(entries, arrivals, {bucketMs: BUCKET_MS, lateMs: LATE_MS, users: customers.length}),
  };
}

/** True when every promise was kept. */
export function isClean(result: Audit): boolean {
  const failures = [result.lost, result.duplicated, result.uidsChanged, result.wrongFlags].reduce((sum, list) => sum + list.length, 0);
  return failures === 0 && result.bounced === 0 && result.queuesEmptyAfterMs !== null;
}
