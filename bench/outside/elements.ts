import {type Candidate, type Cell, search} from '../../coordinator/health/explain.ts';
import type {Labels} from '../../wire/schema.ts';
import {type Count, type Gains, grouped, risenCounts} from './counts.ts';

/** A table of counts by attributes over some minutes, and the attributes that were at fault in one of them. */
export interface Incident {
  name: string;
  atMs: number;
  rows: {atMs: number; labels: Labels; bad: number; all: number}[];
  truth: Labels[];
}

export interface ElementFigures {
  cases: number;
  f1: number;
  precision: number;
  recall: number;
  wrong: string[];
}

const CAUSES_MAX = 3;
/** What is left of a gain with one, two and three labels. */
const GAIN_LEFT = [1, 1, 0.9];
/** A cause holds so much of the excess: what is smaller is not what the trouble is about. */
const HELD_MIN = 0.2;
/** So many of the best are looked at more closely. */
const CLOSER_LOOKS = 40;
/** Each label of a further cause must make what is seen so much likelier: there are many values to choose it from, and it is rare. */
const FURTHER_COST = 8;
/** What was bad before is told by the calmer minutes; the others had troubles of their own. */
const CALM_SHARE = 0.5;
/** What was rarely seen before has the share of all, as if seen so often. */
const COUNTS_PRIOR = 20;
const SHARE_MIN = 0.002;

/** Which attributes explain what is bad now beyond what was bad before: the search that names releases and batches. */
export function blame({rows, atMs}: Pick<Incident, 'rows' | 'atMs'>): Labels[] {
  const now = rowsOf(rows, atMs);
  const cells = now.map(({labels, bad, all, usual}): Cell => {
    const excess = Math.max(0, bad - usual * all);
    return {labels, bad: excess, good: all - excess};
  });
  const {alike, apart} = risenCounts(now, labels => GAIN_LEFT[labels - 1] ?? 0);
  const candidates = search(cells, alike)
    .filter(({bad, othersBad}) => bad >= HELD_MIN * (bad + othersBad))
    .slice(0, CLOSER_LOOKS);
  const sets = [...grouped(candidates, keysOf).values()].map(those => causesOf(those, apart, cells.length));
  const [best] = sets.sort((a, b) => b.gain - a.gain);
  return (best?.causes ?? []).map(({members}) => shared(members, cells));
}

function keysOf({labels}: Candidate): string {
  return Object.keys(labels).join();
}

/** Several causes are values of the same labels, weighed together: to the best one that is added which explains most with those before it, if it is worth its labels. */
function causesOf(candidates: readonly Candidate[], gainOf: Gains['apart'], rows: number): {causes: Candidate[]; gain: number} {
  const causes: Candidate[] = [];
  let whole: {members: number[]; gain: number} = {members: [], gain: Number.NEGATIVE_INFINITY};
  while (causes.length < CAUSES_MAX) {
    const wholes = candidates.flatMap(cause => {
      const members = [...whole.members, ...cause.members];
      const cost = FURTHER_COST * Object.keys(cause.labels).length * causes.length;
      // What all rows have in common is no cause.
      return causes.includes(cause) || members.length === rows
        ? []
        : {cause, members, gain: gainOf({labels: cause.labels, members}) - cost};
    });
    const [best] = wholes.sort((a, b) => b.gain - a.gain);
    if (best === undefined || best.gain <= whole.gain) break;
    causes.push(best.cause);
    whole = best;
  }
  return {causes, gain: whole.gain};
}

/** Everything that all of them have in common: more labels than set them apart, where some always go together. */
function shared(members: readonly number[], cells: readonly Cell[]): Labels {
  const [first = {}, ...others] = members.map(index => cells[index]?.labels ?? {});
  return Object.fromEntries(Object.entries(first).filter(([key, value]) => others.every(labels => labels[key] === value)));
}

function rowsOf(rows: Incident['rows'], atMs: number): Count[] {
  const before = new Map<string, {bad: number; all: number}>();
  const total = {bad: 0, all: 0};
  const calm = calmMinutes(rows, atMs);
  for (const row of rows) {
    if (!calm.has(row.atMs)) continue;
    const key = JSON.stringify(row.labels);
    const known = before.get(key) ?? {bad: 0, all: 0};
    before.set(key, {bad: known.bad + row.bad, all: known.all + row.all});
    total.bad += row.bad;
    total.all += row.all;
  }
  const usual = Math.max(SHARE_MIN, total.all === 0 ? 0 : total.bad / total.all);
  return rows
    .filter(row => row.atMs === atMs && row.all > 0)
    .map(({labels, bad, all}) => {
      const known = before.get(JSON.stringify(labels)) ?? {bad: 0, all: 0};
      return {labels, all, bad: Math.min(all, bad), usual: (known.bad + COUNTS_PRIOR * usual) / (known.all + COUNTS_PRIOR)};
    });
}

/** Those of the minutes before in which the least share was bad. */
function calmMinutes(rows: Incident['rows'], beforeMs: number): Set<number> {
  const minutes = new Map<number, {bad: number; all: number}>();
  for (const {atMs, bad, all} of rows) {
    const known = minutes.get(atMs) ?? {bad: 0, all: 0};
    if (atMs < beforeMs) minutes.set(atMs, {bad: known.bad + bad, all: known.all + all});
  }
  const shares = [...minutes].map(([atMs, {bad, all}]) => ({atMs, share: bad / Math.max(1, all)})).sort((a, b) => a.share - b.share);
  return new Set(shares.slice(0, Math.ceil(CALM_SHARE * shares.length)).map(({atMs}) => atMs));
}

export function scoreIncidents(incidents: readonly Incident[]): ElementFigures {
  let [hits, named, there] = [0, 0, 0];
  const wrong: string[] = [];
  const keyOf = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort());
  for (const incident of incidents) {
    const blamed = blame(incident).map(keyOf);
    const truth = incident.truth.map(keyOf);
    const right = blamed.filter(key => truth.includes(key)).length;
    hits += right;
    named += blamed.length;
    there += truth.length;
    if (right < truth.length || right < blamed.length) wrong.push(`${incident.name}: ${blamed.join(' ')} for ${truth.join(' ')}`);
  }
  return {cases: incidents.length, f1: (2 * hits) / (named + there), precision: hits / named, recall: hits / there, wrong};
}
