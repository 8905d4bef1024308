import {type Millis, SECOND_MS} from '../base/units.ts';
import type {Circumstance, CohortVerdict, Decision} from '../wire/record.ts';
import type {Emit} from './events.io.ts';
import type {FlowOutcome} from './flow.ts';
import {LEASE_TIMES} from './lease.ts';

/** Tells subscribers what changed from one round of judgment to the next. @param before null for the first round. */
export function announce(before: FlowOutcome | null, after: FlowOutcome, emit: Emit): void {
  const kinds = new Map(before?.verdicts.map(({host, kind}) => [host, kind]));
  for (const verdict of after.verdicts) {
    const from = kinds.get(verdict.host) ?? null;
    if (from !== verdict.kind) emit('verdictChanged', verdict.host, {from, verdict});
  }
  const cohorts = new Map(before?.cohorts.map(cohort => [keyOf(cohort), cohort]));
  for (const cohort of after.cohorts) {
    const known = cohorts.get(keyOf(cohort));
    if (known === undefined || !isSame(known, cohort)) emit('cohortJudged', null, {cohort});
    cohorts.delete(keyOf(cohort));
  }
  for (const cohort of cohorts.values()) emit('cohortCleared', null, {cohort});
  const circumstances = new Map(before?.circumstances.map(each => [circumstanceKey(each), each]));
  for (const circumstance of after.circumstances) {
    if (!circumstances.delete(circumstanceKey(circumstance))) emit('circumstanceBegan', null, {circumstance});
  }
  for (const circumstance of circumstances.values()) emit('circumstanceEnded', null, {circumstance});
  const {hurt} = after;
  if (before === null || hurtKey(before.hurt) !== hurtKey(hurt)) emit('hurtChanged', null, hurt);
}

/** A leader may have been dead for as long as its lease lasts, and a little longer until that is seen. */
const UNTOLD_MS: Millis = LEASE_TIMES.leaseMs + 5 * SECOND_MS;

/**
 * What another leader has told last is one of these, for all that is known: whoever leads next begins with the oldest of them. To be told twice harms
 * nobody. @param before what this returned the round before. @param outcome of this round; what the leader sees is taken to be the same.
 */
export function toldByOther(before: readonly FlowOutcome[], outcome: FlowOutcome): FlowOutcome[] {
  return [...before, outcome].filter(({memory}) => outcome.memory.atMs - memory.atMs <= UNTOLD_MS);
}

/** That the same customers are hurt by what has a name by now is news as well. */
function hurtKey({usersHurt, users, byCause = {}}: FlowOutcome['hurt']): string {
  return JSON.stringify([usersHurt, users, Object.entries(byCause).sort()]);
}

/** Decisions that were not there the round before, by what they are and what stops them. */
export class DecisionNews {
  #known: ReadonlySet<string> = new Set();

  take(decisions: readonly Decision[]): Decision[] {
    const keys = decisions.map(decisionKey);
    const news = decisions.filter((_, index) => !this.#known.has(keys[index] ?? ''));
    this.#known = new Set(keys);
    return news;
  }
}

function decisionKey({kind, host, because, mode, vetoes}: Decision): string {
  return JSON.stringify([kind, host, because, mode, vetoes.map(({code}) => code)]);
}

function circumstanceKey({code, sinceMs, labels, hosts}: Circumstance): string {
  return JSON.stringify([code, sinceMs, labels, code === 'ONE_EDGE' || code === 'OVERLOADED' ? hosts : null]);
}

function keyOf({labels}: CohortVerdict): string {
  return JSON.stringify(Object.entries(labels).sort());
}

function isSame(a: CohortVerdict, b: CohortVerdict): boolean {
  return newsOf(a) === newsOf(b);
}

/** Which hosts an experiment is made on is news, too: how it ends is seen on them. */
function newsOf({explained, sick, members, experiment}: CohortVerdict): string {
  return JSON.stringify([explained, sick, members, experiment]);
}
