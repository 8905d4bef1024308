import {type Instant, MINUTE_MS} from '../../base/units.ts';
import type {Advice} from '../../wire/tune.ts';
import {DISK_RULES} from './disk-rules.ts';
import {proposals} from './proposals.ts';
import {type Draft, type History, LIMIT_RULES} from './rules.ts';

/** A shortage that is over for the moment comes back: so long its advice stands for somebody to take. */
const LINGER_MS = 30 * MINUTE_MS;
export const ADVICE_MAX = 16;
const ORDER: readonly Advice['level'][] = ['alarm', 'automatic', 'person'];

/** Advice and when its evidence was last there. */
export interface Standing {
  advice: Advice;
  seenMs: Instant;
}

/**
 * All advice that stands now. The same advice keeps its id and its age; one whose evidence is gone stands for half an hour more, unless
 * its knob has changed since.
 * @param disk name of the disk under the mail store, or null. @param before what stood at the last look.
 */
export function advise(history: History, disk: string | null, before: readonly Standing[], nowMs: Instant): Standing[] {
  const now = history.at(-1);
  if (now === undefined) return [...before];
  const drafts: (Draft | null)[] = [
    ...LIMIT_RULES.map(rule => rule(history, now)),
    ...DISK_RULES.map(rule => rule(history, now, disk)),
    ...proposals(history, now),
  ];
  const standing = new Map<string, Standing>();
  for (const draft of drafts) {
    if (draft === null) continue;
    const id = `${draft.knob}=${draft.to}`.slice(0, 130);
    const sinceMs = before.find(({advice}) => advice.id === id)?.advice.sinceMs ?? nowMs;
    standing.set(id, {advice: {...draft, id, sinceMs}, seenMs: nowMs});
  }
  for (const known of before) {
    const {knob, id, from, level} = known.advice;
    const isFresh = nowMs - known.seenMs < LINGER_MS && !standing.has(id);
    // Another value for the same knob has taken its place, or the value it was made for is gone.
    const isReplaced = [...standing.values()].some(({advice}) => advice.knob === knob);
    const isOutdated = level === 'automatic' && now.values.get(knob) !== from;
    if (isFresh && !isReplaced && !isOutdated) standing.set(id, known);
  }
  return [...standing.values()]
    .sort((a, b) => ORDER.indexOf(a.advice.level) - ORDER.indexOf(b.advice.level) || (a.advice.id < b.advice.id ? -1 : 1))
    .slice(0, ADVICE_MAX);
}
