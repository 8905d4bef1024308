import {readFileSync} from 'node:fs';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import {PolicyView} from '../../wire/api.ts';
import {MoveRecord} from '../../wire/record.ts';
import {call} from '../api.io.ts';
import {startFault, stopFaults} from '../fault/act.io.ts';
import {runIn} from '../machine/enter.io.ts';
import {cancelMove, ended, startMove} from '../moves.io.ts';
import {type CellOptions, type Struck, underTraffic} from './cell.io.ts';
import type {Course} from './course.io.ts';
import {processesOfUnit} from './processes.io.ts';
import type {CellResult} from './results.ts';

/** What a target confirms so slowly, a message after the other, lasts for minutes. */
const FSYNC_MS = '2000';
const MESSAGES = 60;
/** So much of a seed leaves in a second. */
const TRICKLE_BYTES = 1_000;
/** What has lasted so long is in the midst of its work. */
const MIDST_MS = 3 * SECOND_MS;
const LOOK_MS = 100;

/** A move whose pass would last for minutes, and is cancelled in the midst of it. */
export function runCancelledPass(options: CellOptions, course: Course): Promise<CellResult> {
  const {farm, access} = options;
  const {user, source, target} = course;
  return underTraffic(options, `cancelled-pass/${source}-${target}`, course, async () => {
    await startFault(farm.paths, farm.layout, 'slow-fsync', target, FSYNC_MS);
    // They come while the seed is sent and after it: a pass has to bring them.
    const filling = runIn(farm.paths, source, ['sh', '-c', FILL, 'fill', user.user, String(MESSAGES)]);
    try {
      const id = await startMove(access, user.user, target);
      await inTheMidst(async () => passesAt(source).length > 0);
      const struck = await cancelled(options, id);
      if (passesAt(source).length > 0) throw new MailherdError('HOST_STATE', {host: source, reason: 'the pass goes on'});
      return struck;
    } finally {
      await stopFaults(farm.paths, farm.layout, 'slow-fsync', target);
      await filling;
    }
  });
}

/** The same of a seed that trickles. */
export function runCancelledSeed(options: CellOptions, course: Course): Promise<CellResult> {
  const {access} = options;
  const {user, source, target} = course;
  return underTraffic(options, `cancelled-seed/${source}-${target}`, course, async () => {
    const {policy, revision} = await call(access, 'GET', '/v1/policy', PolicyView);
    const slow = {...policy, move: {...policy.move, bytesPerSecondMax: TRICKLE_BYTES, perSourceMax: 1}};
    const changed = await call(access, 'PUT', '/v1/policy', PolicyView, {policy: slow, revision});
    try {
      const id = await startMove(access, user.user, target);
      await inTheMidst(async () => (await call(access, 'GET', `/v1/moves/${id}`, MoveRecord)).step === 'seeding');
      return await cancelled(options, id);
    } finally {
      await call(access, 'PUT', '/v1/policy', PolicyView, {policy, revision: changed.revision});
    }
  });
}

/** `sh -c FILL name USER COUNT` */
const FILL = `for i in $(seq 1 "$2"); do
  printf 'Subject: cancelled %s\\nMessage-ID: <cancelled-%s-%s@farm>\\n\\ntext %s\\n' "$i" "$$" "$i" "$i" | doveadm save -u "$1" -m INBOX
done`;

async function cancelled({access, endsWithinMs}: CellOptions, id: string): Promise<Struck> {
  const atMs = systemClock.now();
  await cancelMove(access, id);
  return {atMs, record: await ended(access, id, endsWithinMs), isMissed: false, offAtMs: null};
}

/** Waits until something has gone on for a while. @throws MailherdError HOST_STATE when it never does. */
async function inTheMidst(isGoingOn: () => Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonic() + MINUTE_MS;
  let sinceMs: number | null = null;
  while (systemClock.monotonic() < endMs) {
    const nowMs = systemClock.monotonic();
    sinceMs = (await isGoingOn()) ? (sinceMs ?? nowMs) : null;
    if (sinceMs !== null && nowMs - sinceMs >= MIDST_MS) return;
    await systemClock.sleep(LOOK_MS);
  }
  throw new MailherdError('HOST_STATE', {reason: 'nothing lasted long enough to be cancelled in the midst of it'});
}

/** Passes of dsync that run at a source. */
function passesAt(host: string): number[] {
  return processesOfUnit(host, 'mailherd-mover').filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes('backup');
    } catch {
      return false; // ended meanwhile
    }
  });
}
