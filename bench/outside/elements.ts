import {type Candidate, type Cell, search} from '../../coordinator/health/explain.ts';
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
/** Counts are no independent witnesses, so a label's cost is a share of the gain: what is left of it with one, two and three labels. */
const GAIN_LEFT = [1, 0.95, 0.75];
/**
 * Counts of one minute are far from independent: a table says as much as so many hosts, a row of it as its count to this power. Where
 * hardly anything ever is bad, little would be seen of a fault: such a row says less, by its usual share to the other power.
 */
const HOSTS = 1000;
const COUNT_EXPONENT = 0.35;
const USUAL_EXPONENT = 0.2;
/** What was bad before is told by the calmer minutes; the others had troubles of their own. */
const CALM_SHARE = 0.75;
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
  const now = rowsOf(rows, atMs);
  let cells = cellsOf(now);
  let excess = now.map(({bad, all, usual}) => Math.max(0, bad - usual * all));
  const whole = badOf(cells);
  const blamed: Labels[] = [];
  while (blamed.length < CAUSES_MAX && badOf(cells) > REST_SHARE_MAX * whole) {
    const best = worthiest(search(cells).candidates, excess);
    // A rest that is spread thinly is noise.
    if (best === null || (blamed.length > 0 && best.bad < REST_SHARE_MAX * whole)) break;
    blamed.push(best.labels);
    const members = new Set(best.members);
    cells = cells.map((cell, index) => (members.has(index) ? {...cell, bad: 0, good: 0} : cell));
    excess = excess.map((more, index) => (members.has(index) ? 0 : more));
  }
  return blamed;
}

/**
 * What divides bad from good clearly, with few labels, and holds much of the excess: rows count nearly alike in the gain, but whoever
 * looks for a cause looks where most of the trouble is.
 */
function worthiest(candidates: readonly Candidate[], excess: readonly number[]): Candidate | null {
  let best: {candidate: Candidate; worth: number} | null = null;
  for (const candidate of candidates) {
    const held = candidate.members.reduce((sum, index) => sum + (excess[index] ?? 0), 0);
    const worth = candidate.gain * (GAIN_LEFT[Object.keys(candidate.labels).length - 1] ?? 0) * Math.sqrt(held);
    if (best === null || worth > best.worth) best = {candidate, worth};
  }
  return best?.candidate ?? null;
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
function cellsOf(now: readonly Row[]): Cell[] {
  let high = 0.3;
  for (let round = 0; round < ROUNDS; round++) {
    const sick = now.map(row => sickness(row, Math.max(high, 3 * row.usual, row.usual + RISE_MIN)));
    const all = now.reduce((sum, row, index) => sum + (sick[index] ?? 0) * row.all, 0);
    if (all === 0) break;
    const bad = now.reduce((sum, row, index) => sum + (sick[index] ?? 0) * row.bad, 0);
    high = Math.max(0.05, bad / all);
  }
  const says = now.map(({all, usual}) => all ** COUNT_EXPONENT * usual ** USUAL_EXPONENT);
  const whole = says.reduce((sum, own) => sum + own, 0);
  return now.map((row, index) => {
    const weight = (HOSTS * (says[index] ?? 0)) / whole;
    const sick = sickness(row, row.usual + PART * Math.max(high - row.usual, RISE_MIN));
    return {labels: row.labels, bad: sick * weight, good: (1 - sick) * weight};
  });
}

function rowsOf(rows: Incident['rows'], atMs: number): Row[] {
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
