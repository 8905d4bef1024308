import {type Rng, seededRng} from '../../../base/random.ts';
import type {Labels} from '../../../wire/schema.ts';
import {atSeverity, combined, type Effect, NOTHING, type Shape} from './effect.ts';
import {FAULTS, type FaultKind, type Scope} from './faults.ts';
import type {SimHost} from './hosts.ts';
import {INNOCENTS, type Innocent, type InnocentDraw} from './innocents.ts';
import {World} from './world.ts';

/** One thing that is wrong: where, how, and what names it. */
export interface Fault {
  kind: string;
  hosts: readonly string[];
  /** Labels that set these hosts apart; null for hosts that have nothing in common. */
  labels: Labels | null;
  full: Partial<Effect>;
  shape: Shape;
}

export interface Scenario {
  name: string;
  world: World;
  startMs: number;
  onsetMs: number;
  endMs: number;
  faults: readonly Fault[];
  innocent: InnocentDraw | null;
  /** Spares the door for reports, which lets in as it is what nothing has mangled. */
  isPastTheDoor?: boolean;
}

/** Of the farms so many have up to 400 hosts, the others up to 99. */
const LARGE_SHARE = 0.06;
/** What more of the hosts have is what all have in common: no host tells how it would be without it. */
const COHORT_SHARE_MAX = 0.7;
const MINUTE = 60_000;
const DAY = 86_400_000;
/** 2024-01-01, a Monday by this count of days. */
const EPOCH_MS = 19_726 * DAY + ((7 - (19_726 % 7)) % 7) * DAY;
const LABELS = ['os', 'kernel', 'image', 'dovecot', 'hardware', 'batch', 'firmware', 'bios', 'disk', 'rack', 'age', 'dirty'];

const SCOPES: readonly Scope[] = ['host', 'host', 'hosts', 'cohort', 'cohort', 'pair', 'born', 'two causes'];

/** Names of everything that can be played. */
export const FAULT_NAMES = FAULTS.map(({name}) => name);
export const INNOCENT_NAMES = INNOCENTS.map(({name}) => name);

/** In working hours, when there is load enough that a fault is felt. */
function begin(rng: Rng, few: Innocent['hosts']): {world: World; startMs: number; onsetMs: number} {
  const usual = Math.round(20 * Math.exp(rng.between(0, 1.6)));
  const many = rng.fork('large').unit() < LARGE_SHARE ? 4 * usual : usual;
  const world = new World(rng, few === undefined ? many : few.min + rng.below(few.max - few.min + 1));
  const startMs = EPOCH_MS + rng.below(7) * DAY + Math.round(rng.between(7, 17) * 60) * MINUTE;
  return {world, startMs, onsetMs: startMs + Math.round(rng.between(15, 30)) * MINUTE};
}

/** @param few a farm of so few hosts instead of one of 20 to 99, or now and then of 80 to 396. */
export function drawFault(seed: number, rng: Rng, kind: FaultKind, few?: Innocent['hosts']): Scenario {
  const {world, startMs, onsetMs} = begin(rng.fork(`farm ${seed} ${kind.name}`), few);
  const r = rng.fork(`fault ${seed} ${kind.name}`);
  const scope = kind.scope ?? r.pick(SCOPES);
  const places = placesOf(r, world.hosts, scope);
  const faults = places.map(({hosts, labels}) => {
    const {full, shape} = kind.draw(r);
    return {kind: kind.name, hosts, labels, full, shape};
  });
  const onset = scope === 'born' ? startMs : onsetMs;
  return {name: `${kind.name} (${scope})`, world, startMs, onsetMs: onset, endMs: onset + 40 * MINUTE, faults, innocent: null};
}

export function drawInnocent(seed: number, rng: Rng, name: string): Scenario {
  const innocent = INNOCENTS.find(candidate => candidate.name === name);
  const {world, startMs, onsetMs} = begin(rng.fork(`farm ${seed} ${name}`), innocent?.hosts);
  const draw = innocent?.draw(rng.fork(`innocent ${seed} ${name}`), world.hosts) ?? {};
  return {name, world, startMs, onsetMs, endMs: onsetMs + 40 * MINUTE, faults: [], innocent: draw};
}

/** A farm for so many hours in which nothing is wrong, from any minute of the week on. */
export function drawQuiet(seed: number, hours: number): Scenario {
  const rng = seededRng(seed).fork(`quiet ${seed}`);
  const world = new World(rng, Math.round(20 * Math.exp(rng.fork('size').between(0, 3))), true);
  const startMs = EPOCH_MS + Math.round(rng.fork('start').between(0, 7 * DAY) / MINUTE) * MINUTE;
  const endMs = startMs + hours * 60 * MINUTE;
  return {name: 'quiet', world, startMs, onsetMs: startMs, endMs, faults: [], innocent: null, isPastTheDoor: true};
}

function placesOf(r: Rng, hosts: readonly SimHost[], scope: Scope): {hosts: string[]; labels: Labels | null}[] {
  const alone = (): {hosts: string[]; labels: null} => ({hosts: [r.pick(hosts).host], labels: null});
  const cohort = (keys: number): {hosts: string[]; labels: Labels | null} => {
    for (let attempt = 0; attempt < 200; attempt++) {
      const like = r.pick(hosts);
      const chosen = new Set(Array.from({length: keys}, () => r.pick(LABELS)));
      if (chosen.size !== keys) continue;
      const labels = Object.fromEntries([...chosen].map(key => [key, like.labels[key] ?? '']));
      const members = membersOf(hosts, labels);
      // Of a pair both labels must be needed, or the one names it.
      const isNeeded = keys === 1 || Object.keys(labels).every(key => membersOf(hosts, omit(labels, key)).length >= members.length + 2);
      if (members.length >= 2 && members.length <= COHORT_SHARE_MAX * hosts.length && isNeeded) return {hosts: members, labels};
    }
    return alone();
  };
  switch (scope) {
    case 'host':
      return [alone()];
    case 'hosts':
      return [alone(), alone()];
    case 'cohort':
    case 'born':
      return [cohort(1)];
    case 'pair':
      return [cohort(2)];
    case 'two causes':
      return [cohort(1), alone()];
    case 'two cohorts':
      return apart(cohort(1), () => cohort(1), COHORT_SHARE_MAX * hosts.length);
  }
}

/** Two that share no host; of two that overlap in most hosts nobody could tell which host has which. Both together leave as many well as one may. */
function apart<P extends {hosts: string[]}>(first: P, draw: () => P, most: number): P[] {
  for (let attempt = 0; attempt < 50; attempt++) {
    const second = draw();
    const isFew = first.hosts.length + second.hosts.length <= most;
    if (isFew && !second.hosts.some(host => first.hosts.includes(host))) return [first, second];
  }
  return [first];
}

function omit(labels: Labels, key: string): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([own]) => own !== key));
}

export function membersOf(hosts: readonly SimHost[], labels: Labels): string[] {
  return hosts.filter(host => Object.entries(labels).every(([key, value]) => host.labels[key] === value)).map(({host}) => host);
}

/** What is different on a host at a time. */
export function effectOn(scenario: Scenario, host: SimHost, atMs: number): Effect {
  const sinceMs = atMs - scenario.onsetMs;
  const {innocent} = scenario;
  let effect = NOTHING;
  if (innocent?.effect !== undefined && (sinceMs >= 0 || innocent.isFromStart === true))
    effect = innocent.effect(host, Math.max(0, sinceMs), atMs);
  if (sinceMs < 0) return effect;
  for (const {hosts, full, shape} of scenario.faults) {
    if (hosts.includes(host.host)) effect = combined(effect, atSeverity(full, shape(sinceMs, scenario.world.shareOfLoad(atMs))));
  }
  return effect;
}
