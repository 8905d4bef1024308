import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Instant, Millis} from '../../base/units.ts';
import type {MoveRecord} from '../../wire/record.ts';
import type {ApiAccess} from '../api.io.ts';
import type {Farm} from '../farm.io.ts';
import {findHost} from '../layout.ts';
import {readLedger} from '../mail/ledger.io.ts';
import {cancelMove, ended, newestOf, purgeInTime, purgeMove, reverseMove, standingOf, startMove} from '../moves.io.ts';
import {longestAwayMs} from './away.ts';
import {type Cell, cellName} from './cells.ts';
import {complaintsOf, copiesOf, judgeUser, queuesLeft, servedByOne, untilNone} from './check.io.ts';
import {type Course, pairOf} from './course.io.ts';
import {resentMail} from './resent.io.ts';
import {matrixDirectory} from './results.io.ts';
import type {CellResult} from './results.ts';
import {type Parties, STRIKES} from './strike.io.ts';
import {startUserTraffic} from './traffic.io.ts';
import {trapStep} from './trap.io.ts';

export interface CellOptions {
  farm: Farm;
  access: ApiAccess;
  /** How long the fault lasts. */
  faultMs: Millis;
  /** How long a move may be under way after the fault is over: a hold, and what comes after it. */
  endsWithinMs: Millis;
}

const WARM_UP_MS = 1_500;
const AFTERWARDS_MS = 2_000;
/** A login that began where the route was old is tried there for 30 s by the edge's Dovecot. */
const SERVED_MS = 60_000;
const QUEUES_MS = 90_000;
const JUDGE_MS = 30_000;
/** A flip is three short questions to NATS: nothing is waited for there. */
const SLICES_INTO = 2;

/** Runs one cell: a move under traffic, the fault in its step, everything checked when it is over. The farm is well before and after. */
export function runCell(options: CellOptions, cell: Cell, course: Course): Promise<CellResult> {
  return underTraffic(options, cellName(cell), course, () => strike(options, cell, course));
}

/** The same without any fault. */
export function runPlainMove(options: CellOptions, course: Course): Promise<CellResult> {
  const {access, endsWithinMs} = options;
  return underTraffic(options, `plain/${course.source}-${course.target}`, course, async () => {
    const atMs = systemClock.now();
    const id = await startMove(access, course.user.user, course.target);
    return {atMs, record: await ended(access, id, endsWithinMs), isMissed: false, offAtMs: null};
  });
}

/** There, and back again while the first host still has its copy. */
export function runReversal(options: CellOptions, {user, source, target}: Course): Promise<CellResult> {
  const {access, endsWithinMs} = options;
  const back: Course = {user, source: target, target: source};
  return underTraffic(options, `reversed/${source}-${target}`, back, async () => {
    const there = await startMove(access, user.user, target);
    await ended(access, there, endsWithinMs);
    const atMs = systemClock.now();
    const id = await reverseMove(access, there);
    return {atMs, record: await ended(access, id, endsWithinMs), isMissed: false, offAtMs: null};
  });
}

/** Has something done with a mailbox under mail and mail programs, and checks everything when it is over. */
export async function underTraffic(options: CellOptions, name: string, course: Course, move: () => Promise<Struck>): Promise<CellResult> {
  const {farm, access} = options;
  const ledger = `${matrixDirectory(farm.paths)}/${name.replace('/', '-')}.jsonl`;
  const traffic = await startUserTraffic(farm, course.user, ledger, systemClock.now());
  let stopped = false;
  try {
    await systemClock.sleep(WARM_UP_MS);
    const struck = await move();
    const violations: string[] = [];
    if (struck.record === null) violations.push(`the move did not end in time: ${await standingOf(access, course.user.user)}`);
    violations.push(...(await untilNone(SERVED_MS, () => servedByOne(farm, access, course.user))));
    await systemClock.sleep(AFTERWARDS_MS);
    await traffic.stop();
    stopped = true;
    violations.push(...(await untilNone(QUEUES_MS, () => queuesLeft(farm))));
    violations.push(...(await settle(options, course, struck.record)));
    return await tell(options, name, course, {...struck, ledger, twiceBefore: traffic.twiceBefore, violations});
  } finally {
    if (!stopped) await traffic.stop();
    await traffic.close();
  }
}

/** What a move came to that something befell. */
export interface Struck {
  atMs: Instant;
  /** The move at its end, null when it came to none. */
  record: MoveRecord | null;
  isMissed: boolean;
  /** When the power of a host went, or its Postfix; null = of none. */
  offAtMs: Instant | null;
}

/** Starts the move, has the fault happen in its step and end again, and waits for the move to end by itself. */
async function strike(options: CellOptions, cell: Cell, course: Course): Promise<Struck> {
  const {farm, access, faultMs, endsWithinMs} = options;
  const control = findHost(farm.layout, partiesOf(farm, course).control);
  if (control === undefined) throw new MailherdError('HOST_UNKNOWN', {host: 'control'});
  const begin = await beginning(options, cell, course);
  const into = cell.step === 'flipping' ? 0 : SLICES_INTO;
  const trapped = await trapStep(farm, {host: control.name, address: control.address}, course.user.user, cell.step, into, begin);
  const atMs = systemClock.now();
  if (trapped === null)
    return {atMs, record: await ended(access, await newestOf(access, course.user.user), endsWithinMs), isMissed: true, offAtMs: null};
  const parties = partiesOf(farm, course);
  try {
    await STRIKES[cell.fault].begin(farm, parties);
  } finally {
    trapped.release();
  }
  await systemClock.sleep(faultMs);
  await STRIKES[cell.fault].end(farm, parties);
  // A Postfix that is killed, like a host without power, does not write down what it had just handed over.
  const offAtMs = cell.fault.startsWith('power-') || cell.fault.endsWith('-postfix') ? atMs : null;
  return {atMs, record: await ended(access, trapped.moveId, endsWithinMs), isMissed: false, offAtMs};
}

function partiesOf({layout}: Farm, {source, target}: Course): Parties {
  const nameOf = (role: string): string => layout.hosts.find(spec => spec.role === role)?.name ?? '';
  return {source, target, edge: nameOf('edge'), control: nameOf('control')};
}

/** What sets off the step: a move; for some steps it must have come far already, or be told to go back. */
async function beginning({access, endsWithinMs}: CellOptions, {step}: Cell, {user, target}: Course): Promise<() => void> {
  const move = (): Promise<string> => startMove(access, user.user, target);
  switch (step) {
    case 'purging': {
      const id = await move();
      await ended(access, id, endsWithinMs);
      return () => unanswered(purgeInTime(access, id));
    }
    case 'backingOut':
      return () => unanswered(move().then(id => cancelMove(access, id)));
    default:
      return () => unanswered(move());
  }
}

/** The coordinator may die over it; whether the step came is seen in the records. */
function unanswered(asking: Promise<unknown>): void {
  asking.catch((error: unknown) => {
    if (!(error instanceof MailherdError)) throw error;
  });
}

/** Has the retained copy purged: then one copy is left, and it is on the host of the route. */
async function settle({farm, access}: CellOptions, {user, source, target}: Course, record: MoveRecord | null): Promise<string[]> {
  if (record === null) return [];
  const complaints: string[] = [];
  if (record.step === 'retained') {
    try {
      const purged = await purgeMove(access, record.id);
      if (purged?.step !== 'purged')
        complaints.push(`the source copy is not purged: ${purged?.refusal?.code ?? purged?.step ?? 'no answer'}`);
    } catch (error) {
      complaints.push(`the source copy is not purged: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const left = copiesOf(farm, user);
  const owner = record.step === 'backedOut' ? source : target;
  if (left.join() !== owner) complaints.push(`copies lie on ${left.join(', ')}, not on ${owner} alone`);
  return complaints;
}

async function tell(
  {farm}: CellOptions,
  name: string,
  {user, source, target}: Course,
  {
    atMs,
    offAtMs,
    record,
    isMissed,
    ledger,
    twiceBefore,
    violations,
  }: Struck & {ledger: string; twiceBefore: ReadonlySet<string>; violations: string[]},
): Promise<CellResult> {
  const twice = {resent: await resentMail(farm, readLedger(ledger), atMs - AFTERWARDS_MS, offAtMs), before: twiceBefore};
  let judged = await judgeUser(farm, user, ledger, twice);
  const complaints = await untilNone(JUDGE_MS, async () => {
    judged = await judgeUser(farm, user, ledger, twice);
    return complaintsOf(judged);
  });
  const endMs = record?.timeline.at(-1)?.atMs ?? null;
  const isBack = record?.step === 'backedOut';
  return {
    v: 1,
    cell: name,
    atMs,
    user: user.user,
    source,
    target,
    pair: pairOf(farm, source, target),
    outcome: record === null ? 'stuck' : isMissed ? 'missed' : isBack ? 'back' : 'forward',
    refusal: record?.refusal?.code ?? null,
    endedAfterMs: endMs === null ? null : Math.max(0, endMs - atMs),
    awayMs: longestAwayMs(readLedger(ledger), atMs),
    accepted: judged.accepted,
    appended: judged.appended,
    flagged: judged.flagged,
    lost: judged.lost.length,
    duplicated: judged.duplicated.length,
    resent: judged.resent,
    uidsChanged: judged.uidsChanged.length,
    wrongFlags: judged.wrongFlags.length,
    bounced: judged.bounced,
    violations: [...violations, ...(record?.refusal?.code === 'MANIFEST_DIFFERS' ? ['the copies differed'] : []), ...complaints],
  };
}
