import {unreachable} from '../../base/assert.ts';
import type {Instant} from '../../base/units.ts';
import {floorOf, type Policy} from '../../wire/policy.ts';
import type {Evidence, Verdict, VerdictKind} from '../../wire/record.ts';
import type {Mark} from './figure.ts';
import {KERNEL_TABLE} from './kernel.ts';
import type {HostMarks, Usual} from './marks.ts';
import {type HostSlis, SLI_TABLE, type SliName} from './sli.ts';
import {STAGE_TABLE} from './stages.ts';

/** What the judge must remember of a host from one round to the next. */
export interface JudgeMemory {
  kind: VerdictKind;
  sinceMs: Instant;
  /** Since when the host is worse than its peers without a break. */
  badSinceMs: Instant | null;
  /** Since when nothing is above its floor without a break. */
  goodSinceMs: Instant | null;
  /** Since when kernel figures stand out without a break, though nobody feels anything. */
  oddSinceMs: Instant | null;
  /** Since when moves of ours excuse that it is worse. */
  busySinceMs: Instant | null;
  /**
   * How it went away while it was sick; nothing it did since speaks against that. `out`: out of service, it comes back as a new host.
   * `silent`: it comes back as the host it was.
   */
  leftSick: 'out' | 'silent' | null;
  /** What was above its floor when something was last. */
  evidence: readonly Evidence[];
}

/** Of a host that was sick when the coordinator before it judged last: it goes on from there, without what was seen. */
export function sickBefore(nowMs: Instant): JudgeMemory {
  const since = {badSinceMs: null, goodSinceMs: null, oddSinceMs: null, busySinceMs: null};
  return {kind: 'sick', sinceMs: nowMs, ...since, leftSick: null, evidence: []};
}

/** Reasons of a suspect from which no user suffers at present, or not by what the host does. */
export const UNFELT: ReadonlySet<string> = new Set(['RECOVERING', 'WORSE_NOT_FELT', 'KERNEL_ONLY', 'SLOW_SENDERS']);

/**
 * Reasons of a suspect that feels something and is not known to be worse than others: they feel it, too, it is not proved (yet), or it was always
 * slower and just feels it.
 */
export const NOT_WORSE: ReadonlySet<string> = new Set(['PEERS_AS_BAD', 'NOT_PROVED', 'JUST_FELT']);

/** A kernel figure explains when it is this many times the peers'. */
const EXPLAINS_RATIO_MIN = 2;
const EXPLAINS_MAX = 3;
/** Figures that the stages of a delivery explain. */
const OF_DELIVERY: ReadonlySet<SliName> = new Set(['deliveryMsP95', 'queueAgeMsP95', 'probeDeliveryMs', 'lmtpMsP95']);
/** More of what is tried has to be repeated, and it is not the senders. */
const DEFERRED_SHARE_MAX = 0.05;
/** Nobody feels it: a kernel figure so many times the peers' and its floor, for so many dwell times, makes a suspect and no more. */
const ODD_RATIO_MIN = 4;
const ODD_DWELLS = 10;
/** What moves of ours do to a host is borne for so many dwell times while they are slowed; then no further one begins. */
const SLOWED_DWELLS = 4;
/** They excuse it while they run and for some time after; for so long where it is far worse than moves make a host, and at most. */
const FAR_EXCUSE_DWELLS = 10;
const EXCUSE_DWELLS_MAX = 60;
/**
 * So many times the better hosts at equal load, and so many floors, is no strain and no hardware: something is broken, on however many hosts
 * and since whenever.
 */
const FAR_RATIO = 10;
const FAR_FLOORS = 2;
/** What is not known to have got worse may be made so, as old machines beside new ones at the height of the day: it must be felt clearly. */
const JUST_FELT_FLOORS = 1.5;
/** A host that its moves keep bad though they were slowed. */
export const MOVES_STOPPED = 'MOVES_STOPPED';

/** As bad as the middle of all hosts: only if the better ones are so much better is it the middle that is sick. */
const MAJORITY_RATIO_MIN = 3;
/** A figure below this share of its floor is worth no suspicion, whatever others show. */
export const NOTICEABLE_SHARE = 0.1;

/** What a host is judged by beside its own figures. */
export interface Others {
  /** Its figures held against the others' and its own past. */
  marks: HostMarks;
  /** What explains, as hosts of its role show it. */
  usual: Usual;
  /** Figures in which hosts are sick that its labels explain; [] where they explain none. */
  ofCause: readonly string[];
}

interface Finding {
  evidence: Evidence[];
  isAboveFloor: boolean;
  /** Above a floor, and proved to be worse than the other hosts at equal load. */
  isWorse: boolean;
  /** The same, by far. */
  isFarWorse: boolean;
  /** Proved to be worse, but nobody feels it. */
  isSlower: boolean;
  hasPeers: boolean;
  /** Others would feel it with its load, or it is worse only than the better ones of them. */
  arePeersBad: boolean;
  isOverloaded: boolean;
  /** It was always slower than others, and just feels it. */
  isJustFelt: boolean;
  /** Nothing is felt but that mail comes in slowly. */
  isOfSenders: boolean;
  /** Since when the worst of it is seen. */
  sinceMs: Instant;
}

/**
 * One host's verdict. Sick = something a user feels is above its floor and proved to be worse than on other hosts at equal load, for
 * `sickDwellMs`; healthy again only after `recoverDwellMs` with nothing above a floor.
 * @param memory what the round before returned, or null for a new host.
 */
export function judgeHost(
  own: HostSlis,
  others: Others,
  memory: JudgeMemory | null,
  judge: Policy['judge'],
  nowMs: Instant,
): {verdict: Verdict; memory: JudgeMemory} {
  const {usual} = others;
  const found = examine(own, others, judge, nowMs);
  const oddSinceMs = isOdd(own, usual) ? (memory?.oddSinceMs ?? nowMs) : null;
  const next = suspectOdd(turn(own, found, memory, judge, nowMs), oddSinceMs, judge, nowMs);
  const sinceMs = memory?.kind === next.kind ? memory.sinceMs : nowMs;
  const {kind, because, badSinceMs, goodSinceMs} = next;
  const busySinceMs = next.busySinceMs ?? (kind === 'suspect' ? (memory?.busySinceMs ?? null) : null);
  const leftSick = leaves(own, memory);
  const isShown = kind === 'sick' || kind === 'suspect';
  const isSeen = found.isAboveFloor || found.isSlower;
  const seen = next.because === 'KERNEL_ONLY' ? explain(own, usual) : found.evidence;
  const evidence =
    (isSeen || next.because === 'KERNEL_ONLY') && isShown ? seen : isShown || leftSick !== null ? (memory?.evidence ?? []) : [];
  return {
    verdict: {host: own.host, kind, sinceMs, because, evidence: isShown ? [...evidence] : []},
    memory: {kind, sinceMs, badSinceMs, goodSinceMs, oddSinceMs, busySinceMs, leftSick, evidence},
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

/** A kernel figure of the newest report that stands out; what a move of ours does to it is no wonder. */
function isOdd({state, isMoving, latestKernel}: HostSlis, usual: Usual): boolean {
  if (state !== 'measured' || isMoving || latestKernel === null) return false;
  return KERNEL_TABLE.some(({figure, floor}) => {
    const value = latestKernel[figure];
    const peers = usual.kernel[figure];
    return value !== null && peers !== undefined && value >= ODD_RATIO_MIN * peers && value >= floor;
  });
}

/** What nobody feels is at most suspect, and only when it lasts. */
function suspectOdd(next: Turn, oddSinceMs: Instant | null, {sickDwellMs}: Policy['judge'], nowMs: Instant): Turn {
  const isLong = oddSinceMs !== null && nowMs - oddSinceMs >= ODD_DWELLS * sickDwellMs;
  const isUnfelt = next.kind === 'healthy' || (next.kind === 'suspect' && next.because === 'RECOVERING');
  return isUnfelt && isLong ? {...next, kind: 'suspect', because: 'KERNEL_ONLY', goodSinceMs: null} : next;
}

type Turn = Pick<JudgeMemory, 'kind' | 'badSinceMs' | 'goodSinceMs'> & {because: string; busySinceMs?: Instant};

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
    const excused = wasSick || !own.isMoving ? null : excuse(own, found, memory, judge, nowMs);
    if (excused !== null) return excused;
    const {badSinceMs: wasBadSinceMs = null, busySinceMs = null} = memory ?? {};
    // Without the moves it is judged anew. What is proved to be its own rise only now began when that began.
    const badSinceMs = Math.min(wasBadSinceMs ?? nowMs, busySinceMs === null ? found.sinceMs : nowMs);
    const isSick = wasSick || nowMs - badSinceMs >= judge.sickDwellMs;
    return {kind: isSick ? 'sick' : 'suspect', because: 'SLI_WORSE_THAN_PEERS', badSinceMs, goodSinceMs: null};
  }
  if (found.isAboveFloor) return {kind: wasSick ? 'sick' : 'suspect', because: notWorse(found), ...reset};
  if (found.isSlower && !wasSick && !own.isMoving) return {kind: 'suspect', because: 'WORSE_NOT_FELT', ...reset};
  return recover(own, memory, judge, nowMs);
}

/** Worse while moves of ours burden it, or just did: it is not called sick for what they do. */
function excuse(
  {isLeaving}: HostSlis,
  {isFarWorse}: Finding,
  memory: JudgeMemory | null,
  {sickDwellMs}: Policy['judge'],
  nowMs: Instant,
): Turn | null {
  const busySinceMs = memory?.busySinceMs ?? nowMs;
  const dwells = (nowMs - busySinceMs) / sickDwellMs;
  if (dwells >= (isFarWorse ? FAR_EXCUSE_DWELLS : EXCUSE_DWELLS_MAX)) return null;
  // To leave a host is what its users need, however slowly.
  const because = isLeaving || dwells < SLOWED_DWELLS ? 'BUSY_WITH_MOVES' : MOVES_STOPPED;
  return {kind: 'suspect', because, badSinceMs: null, goodSinceMs: null, busySinceMs};
}

/** Why something that users feel makes no host sick by itself. */
function notWorse({hasPeers, arePeersBad, isOverloaded, isJustFelt, isOfSenders}: Finding): string {
  if (isOverloaded) return 'OVERLOADED';
  if (isOfSenders) return 'SLOW_SENDERS';
  if (!hasPeers) return 'NO_PEERS';
  if (isJustFelt) return 'JUST_FELT';
  return arePeersBad ? 'PEERS_AS_BAD' : 'NOT_PROVED';
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

function examine(own: HostSlis, {marks, usual, ofCause}: Others, judge: Policy['judge'], nowMs: Instant): Finding {
  const found: Finding = {
    evidence: [],
    isAboveFloor: false,
    isWorse: false,
    isFarWorse: false,
    isSlower: false,
    hasPeers: false,
    arePeersBad: false,
    isOverloaded: false,
    isJustFelt: false,
    isOfSenders: false,
    sinceMs: nowMs,
  };
  const isBroken = isOdd(own, usual);
  for (const {sli, unit} of SLI_TABLE) {
    const value = own.values[sli];
    if (value === null) continue;
    const floor = floorOf(judge, sli);
    const mark = marks[sli];
    const isFelt = value > floor;
    const isProved = mark !== undefined && mark.proof !== null;
    const isSlower = !isFelt && isProved && mark.isBehindMiddle && value >= NOTICEABLE_SHARE * floor;
    if (!isFelt && !isSlower) continue;
    // What changed for the worse may still be no worse than what others show.
    const isOfSenders = isFelt && sli === 'deliveryMsP95' && arrivesSlowly(own, judge);
    // Trouble that all have comes to one sooner and harder than to another: that alone makes nobody sick.
    const isOfCause = ofCause.includes(sli);
    const isByLabels = isOfCause && mark !== undefined && mark.ratio >= MAJORITY_RATIO_MIN && !mark.isOverloaded;
    // What is just slower has a kernel like the others'.
    const isOwnDoing = mark !== undefined && (mark.isOwnDoing || isBroken);
    const isJustFelt = isFelt && isProved && !isOwnDoing && !isOfCause && value < JUST_FELT_FLOORS * floor;
    const isOne = isByLabels || (isProved && !isJustFelt && isSick({...mark, isOwnDoing}, isOfCause, judge));
    const isTelling = (isOne && !usual.isFeltByAll) || (isProved && isFar(value, floor, mark));
    const isWorse = isFelt && isTelling && !isOfSenders;
    found.evidence.push(evidenceOf(sli, unit, value, floor, mark, isByLabels));
    found.isAboveFloor ||= isFelt;
    found.isSlower ||= isSlower;
    found.isWorse ||= isWorse;
    found.isFarWorse ||= isWorse && isFar(value, floor, mark);
    // What was below its floor may have been proved all the same; it lasts only from when it is felt, unless it is the host's own rise.
    if (isWorse && mark.proof === 'past') found.sinceMs = Math.min(found.sinceMs, mark.sinceMs);
    const hasPeers = isFelt && mark !== undefined && mark.peers > 0;
    found.hasPeers ||= hasPeers;
    found.arePeersBad ||= hasPeers && (isProved || mark.expected > floor);
    found.isJustFelt ||= isJustFelt;
    found.isOverloaded ||= isFelt && mark?.isOverloaded === true;
    if (isFelt) found.isOfSenders = isOfSenders;
  }
  found.evidence.sort((a, b) => worth(b) * weightOf(b) - worth(a) * weightOf(a));
  if (found.evidence.length === 0) return found;
  const isDelivery = found.evidence.some(({sli}) => OF_DELIVERY.has(sli as SliName));
  found.evidence.push(...(isDelivery ? slowestStage(own, usual) : []), ...explain(own, usual));
  return found;
}

function isFar(value: number, floor: number, {ratio}: Mark): boolean {
  return ratio >= FAR_RATIO && value >= FAR_FLOORS * floor;
}

/**
 * A majority that did not change is no worse than its hardware is, unless hosts of the same hardware do far better, or its labels part those that are
 * sick from those that are well.
 */
function isSick({isBehindMiddle, isOwnDoing, ratio}: Mark, isOfCause: boolean, {ratioMax}: Policy['judge']): boolean {
  return isBehindMiddle || isOfCause ? ratio >= Math.sqrt(ratioMax) : isOwnDoing && ratio >= MAJORITY_RATIO_MIN;
}

/**
 * A few mails come in slowly, and that time counts as their delay: most pass that stage at once, nothing is tried again, and the host's
 * own probe goes the same way quickly.
 */
function arrivesSlowly({values, stages}: HostSlis, judge: Policy['judge']): boolean {
  const {ms, beforeMsP50, attempts, deferred} = stages();
  const {stageBeforeMs: before, stageQueuedMs: queued, stageConnectingMs: connecting, stageSendingMs: sending} = ms;
  if (before === null || beforeMsP50 === null || values.probeDeliveryMs === null) return false;
  const isProbeWell = ['probeDeliveryMs', 'probeFailureShare'].every(sli => {
    return (values[sli as SliName] ?? 0) <= floorOf(judge, sli as SliName);
  });
  const few = NOTICEABLE_SHARE * floorOf(judge, 'deliveryMsP95');
  const isElsewhere = Math.max(queued ?? 0, connecting ?? 0, sending ?? 0) > few || deferred > DEFERRED_SHARE_MAX * attempts;
  return isProbeWell && !isElsewhere && beforeMsP50 <= few && before > few;
}

/** The stage of a delivery that takes the most time beyond what peers need. */
function slowestStage(own: HostSlis, usual: Usual): Evidence[] {
  const {ms} = own.stages();
  const peers = usual.stages();
  const slow = STAGE_TABLE.flatMap(({stage, floor, where}): Evidence[] => {
    const value = ms[stage];
    const baseline = peers[stage];
    if (value === null || baseline === undefined || value < floor || value < EXPLAINS_RATIO_MIN * baseline) return [];
    return [{sli: stage, unit: 'ms', value, baseline, ratio: ratioOf(value, baseline), note: where, explains: true}];
  });
  return slow.sort((a, b) => b.value - (b.baseline ?? 0) - (a.value - (a.baseline ?? 0))).slice(0, 1);
}

function evidenceOf(sli: SliName, unit: string, value: number, floor: number, mark: Mark | undefined, isByLabels: boolean): Evidence {
  const baseline = mark === undefined || mark.peers === 0 ? null : mark.expected;
  const unproved = isByLabels ? 'as on others with its labels' : 'not proved';
  const proof = mark?.proof == null ? unproved : mark.proof === 'past' ? 'proved against its own past' : 'proved against its peers';
  const note =
    mark === undefined ? `floor ${floor} ${unit}; nothing to hold it against` : `floor ${floor} ${unit}; ${mark.peers} peers; ${proof}`;
  return {sli, unit, value, baseline, ratio: ratioOf(value, baseline), note};
}

/** The kernel figures that stand out most against the peers'. */
function explain(own: HostSlis, usual: Usual): Evidence[] {
  const explaining: Evidence[] = [];
  const kernel = own.kernel();
  for (const {figure, unit, floor} of KERNEL_TABLE) {
    const value = kernel[figure];
    if (value === undefined || value < floor) continue;
    const baseline = usual.kernel[figure] ?? null;
    if (baseline === null || value < EXPLAINS_RATIO_MIN * baseline) continue;
    explaining.push({sli: figure, unit, value, baseline, ratio: ratioOf(value, baseline), note: 'goes along with it', explains: true});
  }
  return explaining.sort((a, b) => worth(b) - worth(a)).slice(0, EXPLAINS_MAX);
}

function ratioOf(value: number, baseline: number | null): number | null {
  return baseline === null || baseline === 0 ? null : value / baseline;
}

function weightOf({sli}: Evidence): number {
  return SLI_TABLE.find(row => row.sli === sli)?.weight ?? 1;
}

/** Against peers that show nothing at all, any ratio is beaten. */
function worth({baseline, ratio}: Evidence): number {
  return ratio ?? (baseline === 0 ? Number.MAX_VALUE : 0);
}

/** What is said of one host; undefined where nothing is (yet). */
export function verdictOf(host: string, verdicts: readonly Verdict[] | undefined): Verdict | undefined {
  return verdicts?.find(verdict => verdict.host === host);
}
