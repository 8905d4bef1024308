import {unreachable} from '../../base/assert.ts';
import type {Instant} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {Evidence, Verdict, VerdictKind} from '../../wire/record.ts';
import {type HostSlis, KERNEL_TABLE, SLI_TABLE} from './sli.ts';

/** What the judge must remember of a host from one round to the next. */
export interface JudgeMemory {
  kind: VerdictKind;
  sinceMs: Instant;
  /** Since when the host is worse than its peers without a break. */
  badSinceMs: Instant | null;
  /** Since when nothing is above its floor without a break. */
  goodSinceMs: Instant | null;
  /**
   * How it went away while it was sick; nothing it did since speaks against that. `out`: out of service, it comes back as a new host.
   * `silent`: it comes back as the host it was.
   */
  leftSick: 'out' | 'silent' | null;
  /** What was above its floor when something was last. */
  evidence: readonly Evidence[];
}

/** Reasons of a sick host on which nothing is above its floor at present: it is not emptied now, and not called healthy yet. */
export const SUBSIDED: ReadonlySet<string> = new Set(['RECOVERING', 'EMPTIED_SICK']);

/** A peer with less than this share of a host's load says nothing about the host. */
const PEER_LOAD_SHARE_MIN = 1 / 4;
/** No host is strained by less, so that any peer may be compared with it. */
const LOAD_PER_SECOND_MIN = 1;
/** A kernel figure explains when it is this many times the peers'. */
const EXPLAINS_RATIO_MIN = 2;
const EXPLAINS_MAX = 3;
/** Moves of ours excuse a host for so many dwell times; then it is sick all the same. */
const MOVES_EXCUSE_DWELLS = 10;

interface Finding {
  evidence: Evidence[];
  isAboveFloor: boolean;
  isWorse: boolean;
  hasPeers: boolean;
  /** Peers there are, but all have far less to do. */
  isOverloaded: boolean;
}

/**
 * One host's verdict. Sick = something a user feels is above its floor and `ratioMax` times worse than on comparable other hosts,
 * for `sickDwellMs`; healthy again only after `recoverDwellMs` with nothing above a floor.
 * @param all SLIs of the whole farm, this host included.
 * @param memory what the round before returned, or null for a new host.
 */
export function judgeHost(
  own: HostSlis,
  all: readonly HostSlis[],
  memory: JudgeMemory | null,
  judge: Policy['judge'],
  nowMs: Instant,
): {verdict: Verdict; memory: JudgeMemory} {
  const found = examine(own, all, judge);
  const next = turn(own, found, memory, judge, nowMs);
  const sinceMs = memory?.kind === next.kind ? memory.sinceMs : nowMs;
  const {kind, because, badSinceMs, goodSinceMs} = next;
  const leftSick = leaves(own, memory);
  const isShown = kind === 'sick' || kind === 'suspect';
  const evidence = found.isAboveFloor && isShown ? found.evidence : isShown || leftSick !== null ? (memory?.evidence ?? []) : [];
  return {
    verdict: {host: own.host, kind, sinceMs, because, evidence: isShown ? [...evidence] : []},
    memory: {kind, sinceMs, badSinceMs, goodSinceMs, leftSick, evidence},
  };
}

function leaves(own: HostSlis, memory: JudgeMemory | null): JudgeMemory['leftSick'] {
  if (own.state === 'measured' || own.state === 'IDLE' || memory === null) return null;
  const isOut = own.state === 'NOT_IN_SERVICE';
  if (memory.kind === 'sick') return isOut ? 'out' : 'silent';
  if (memory.leftSick === null) return null;
  if (isOut) return 'out';
  // Back in service it is a new host, unless it never got there.
  return memory.leftSick === 'silent' || own.isLeaving ? memory.leftSick : null;
}

type Turn = Pick<JudgeMemory, 'kind' | 'badSinceMs' | 'goodSinceMs'> & {because: string};

function turn(own: HostSlis, found: Finding, memory: JudgeMemory | null, judge: Policy['judge'], nowMs: Instant): Turn {
  const reset = {badSinceMs: null, goodSinceMs: null};
  switch (own.state) {
    case 'SILENT':
      return {kind: 'silent', because: 'REPORTS_STALE', ...reset};
    case 'WARMING':
    case 'NO_REPORT':
    case 'NOT_IN_SERVICE':
      return {kind: 'unknown', because: own.state, ...reset};
    case 'IDLE':
    case 'measured':
      break;
    default:
      return unreachable(own.state);
  }
  const wasSick = isStillSick(memory);
  if (found.isWorse) {
    const suspectMs = memory?.kind === 'suspect' ? nowMs - memory.sinceMs : 0;
    const isExcused = own.isMoving && suspectMs < MOVES_EXCUSE_DWELLS * judge.sickDwellMs;
    if (isExcused && !wasSick) return {kind: 'suspect', because: 'BUSY_WITH_MOVES', ...reset};
    const badSinceMs = memory?.badSinceMs ?? nowMs;
    const isSick = wasSick || nowMs - badSinceMs >= judge.sickDwellMs;
    return {kind: isSick ? 'sick' : 'suspect', because: 'SLI_WORSE_THAN_PEERS', badSinceMs, goodSinceMs: null};
  }
  if (found.isAboveFloor) return {kind: wasSick ? 'sick' : 'suspect', because: notWorse(found), ...reset};
  return recover(own, memory, judge, nowMs);
}

/** Why something that users feel makes no host sick by itself. */
function notWorse({hasPeers, isOverloaded}: Finding): string {
  if (hasPeers) return 'PEERS_AS_BAD';
  return isOverloaded ? 'OVERLOADED' : 'NO_PEERS';
}

function recover(own: HostSlis, memory: JudgeMemory | null, judge: Policy['judge'], nowMs: Instant): Turn {
  const well: Turn = isUnmeasured(own)
    ? {kind: 'unknown', because: own.state === 'IDLE' ? 'IDLE' : 'NO_SLI', badSinceMs: null, goodSinceMs: null}
    : {kind: 'healthy', because: 'WITHIN_BOUNDS', badSinceMs: null, goodSinceMs: null};
  const wasSick = isStillSick(memory);
  if (memory === null || (!wasSick && memory.kind !== 'suspect')) return well;
  // Emptied because it was sick: that it gets better without its users is what emptying it was for.
  if (wasSick && own.isLeaving) return {kind: 'sick', because: 'EMPTIED_SICK', badSinceMs: null, goodSinceMs: null};
  const goodSinceMs = memory.goodSinceMs ?? nowMs;
  const dwellMs = wasSick ? judge.recoverDwellMs : judge.sickDwellMs;
  if (nowMs - goodSinceMs >= dwellMs) return well;
  return {kind: wasSick ? 'sick' : 'suspect', because: 'RECOVERING', badSinceMs: null, goodSinceMs};
}

/** Silence, or an agent that starts anew, heals nobody. */
function isStillSick(memory: JudgeMemory | null): boolean {
  return memory !== null && (memory.kind === 'sick' || memory.leftSick === 'silent');
}

/** Nothing to judge by: no load, or no SLI at all. */
function isUnmeasured(own: HostSlis): boolean {
  return own.state === 'IDLE' || Object.values(own.values).every(value => value === null);
}

function examine(own: HostSlis, all: readonly HostSlis[], judge: Policy['judge']): Finding {
  const peers = all.filter(other => isComparable(own, other));
  const isOverloaded = peers.length === 0 && all.some(other => isPeer(own, other) && other.state === 'measured');
  const found: Finding = {evidence: [], isAboveFloor: false, isWorse: false, hasPeers: false, isOverloaded};
  for (const {sli, unit} of SLI_TABLE) {
    const value = own.values[sli];
    const floor = judge.floors[sli];
    if (value === null || value <= floor) continue;
    const baseline = baselineOf(peers.map(({values}) => values[sli]));
    const isWorse = baseline !== null && value >= judge.ratioMax * baseline;
    const note = `floor ${floor} ${unit}; ${peers.length} peers${isWorse ? ', worse than they' : ''}`;
    found.evidence.push({sli, unit, value, baseline, ratio: ratioOf(value, baseline), note});
    found.isAboveFloor = true;
    found.isWorse ||= isWorse;
    found.hasPeers ||= baseline !== null;
  }
  found.evidence.sort((a, b) => worth(b) - worth(a));
  if (found.isAboveFloor) found.evidence.push(...explain(own, peers));
  return found;
}

function isPeer(own: HostSlis, other: HostSlis): boolean {
  return other.host !== own.host && other.role === own.role;
}

/** Idle hosts wait for nobody: they are no measure of a busy one, but well of each other. */
function isComparable(own: HostSlis, other: HostSlis): boolean {
  if (!isPeer(own, other)) return false;
  if (other.state !== 'measured') return other.state === 'IDLE' && own.state === 'IDLE';
  if (own.loadPerSecond === null || other.loadPerSecond === null || own.loadPerSecond < LOAD_PER_SECOND_MIN) return true;
  return other.loadPerSecond >= own.loadPerSecond * PEER_LOAD_SHARE_MIN;
}

/**
 * Lower median of the better half: a bad release on up to three quarters of the other hosts does not become its own baseline.
 * @returns null when no peer has the figure.
 */
export function baselineOf(values: readonly (number | null)[]): number | null {
  const sorted = values.filter(value => value !== null).sort((a, b) => a - b);
  const half = Math.ceil(sorted.length / 2);
  return sorted[Math.floor((half - 1) / 2)] ?? null;
}

/** The kernel figures that stand out most against the peers'. */
function explain(own: HostSlis, peers: readonly HostSlis[]): Evidence[] {
  const explaining: Evidence[] = [];
  for (const {figure, unit, floor} of KERNEL_TABLE) {
    const value = own.kernel[figure];
    if (value === undefined || value < floor) continue;
    const baseline = baselineOf(peers.map(({kernel}) => kernel[figure] ?? null));
    if (baseline === null || value < EXPLAINS_RATIO_MIN * baseline) continue;
    explaining.push({sli: figure, unit, value, baseline, ratio: ratioOf(value, baseline), note: 'kernel figure, explains only'});
  }
  return explaining.sort((a, b) => worth(b) - worth(a)).slice(0, EXPLAINS_MAX);
}

function ratioOf(value: number, baseline: number | null): number | null {
  return baseline === null || baseline === 0 ? null : value / baseline;
}

/** Against peers that show nothing at all, any ratio is beaten. */
function worth({baseline, ratio}: Evidence): number {
  return ratio ?? (baseline === 0 ? Number.MAX_VALUE : 0);
}
