import {type Cell, search, simplest} from '../../coordinator/health/explain.ts';
import type {Labels} from '../../wire/schema.ts';

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

/** A rest of the trouble that is smaller than this share of it is not explained further. */
const REST_SHARE_MAX = 0.35;
const CAUSES_MAX = 3;
/** A simpler explanation may make what is seen this much less likely. */
const SLACK_SHARE = 0.05;
/** Counts of one minute are far from independent: a table says as much as so many hosts, a row of it as its count to this power. */
const HOSTS = 1000;
const COUNT_EXPONENT = 0.35;
/** What was rarely seen before has the share of all, as if seen so often. */
const COUNTS_PRIOR = 50;
const SHARE_MIN = 0.002;
/** A row is bad when its share of bad rose this part of the way that bad rows rose. */
const PART = 0.8;
const RISE_MIN = 0.02;
const ROUNDS = 20;
const ODDS_MAX = 30;

/** Which attributes explain what is bad now beyond what was bad before: the search that names releases and batches. */
export function blame({rows, atMs}: Pick<Incident, 'rows' | 'atMs'>): Labels[] {
  let cells = cellsOf(rows, atMs);
  const whole = badOf(cells);
  const blamed: Labels[] = [];
  while (blamed.length < CAUSES_MAX && badOf(cells) > REST_SHARE_MAX * whole) {
    const found = simplest(
      search(cells),
      (a, b) => b.gain - a.gain,
      gain => SLACK_SHARE * gain,
    );
    if (found === null) break;
    const {best} = found;
    // A rest that is spread thinly is noise.
    if (blamed.length > 0 && best.bad < REST_SHARE_MAX * whole) break;
    blamed.push(best.labels);
    const members = new Set(best.members);
    cells = cells.map((cell, index) => (members.has(index) ? {...cell, bad: 0, good: 0} : cell));
  }
  return blamed;
}

function badOf(cells: readonly Cell[]): number {
  return cells.reduce((sum, {bad}) => sum + bad, 0);
}

interface Row {
  labels: Labels;
  bad: number;
  all: number;
  /** Share of bad before. */
  usual: number;
}

/** Each row as a host that is sick with some probability: its share of bad rose as that of the bad ones did, or it did not. */
function cellsOf(rows: Incident['rows'], atMs: number): Cell[] {
  const now = rowsOf(rows, atMs);
  let high = 0.3;
  for (let round = 0; round < ROUNDS; round++) {
    const sick = now.map(row => sickness(row, Math.max(high, 3 * row.usual, row.usual + RISE_MIN)));
    const all = now.reduce((sum, row, index) => sum + (sick[index] ?? 0) * row.all, 0);
    if (all === 0) break;
    const bad = now.reduce((sum, row, index) => sum + (sick[index] ?? 0) * row.bad, 0);
    high = Math.max(0.05, bad / all);
  }
  const whole = now.reduce((sum, {all}) => sum + all ** COUNT_EXPONENT, 0);
  return now.map(row => {
    const weight = (HOSTS * row.all ** COUNT_EXPONENT) / whole;
    const sick = sickness(row, row.usual + PART * Math.max(high - row.usual, RISE_MIN));
    return {labels: row.labels, bad: sick * weight, good: (1 - sick) * weight};
  });
}

function rowsOf(rows: Incident['rows'], atMs: number): Row[] {
  const before = new Map<string, {bad: number; all: number}>();
  const total = {bad: 0, all: 0};
  for (const row of rows) {
    if (row.atMs >= atMs) continue;
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

/** Probability that bad comes at the high share rather than at the usual one. */
function sickness({bad, all, usual}: Row, high: number): number {
  const share = Math.min(0.95, high);
  const odds = bad * Math.log(share / usual) + (all - bad) * Math.log((1 - share) / (1 - usual));
  return 1 / (1 + Math.exp(-Math.max(-ODDS_MAX, Math.min(ODDS_MAX, odds))));
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
