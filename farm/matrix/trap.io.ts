import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import {Bucket} from '../../wire/bucket.io.ts';
import {connectNats} from '../../wire/nats.io.ts';
import {MoveRecord, type MoveStep} from '../../wire/record.ts';
import {inboxPrefix, MOVE_BUCKET} from '../../wire/subjects.ts';
import type {Farm} from '../farm.io.ts';
import {initDirectory} from '../secrets.io.ts';
import {mainProcess, signal} from './processes.io.ts';

/** The coordinator runs this long, then it is looked at while it stands still: steps last some milliseconds. */
const SLICE_MS = 1;
/** What it had stored just before it was stopped must have come to us. */
const SETTLE_MS = 3;
const REACH_MS = 60_000;

export interface Trapped {
  moveId: string;
  /** Lets the coordinator go on. */
  release: () => void;
}

/**
 * Lets a move run, a slice of the coordinator's time after the other, until it is in `step`, and holds the coordinator there.
 * @param begin what sets the move going; its answer may only come when the coordinator goes on, so it is not awaited.
 * @param slicesInto slices into the step before it is held: its first command is then under way.
 * @returns null when the step was over before the coordinator stood still, or was not reached at all.
 */
export async function trapStep(
  farm: Farm,
  control: {host: string; address: string},
  user: string,
  step: MoveStep,
  slicesInto: number,
  begin: () => void,
): Promise<Trapped | null> {
  const stop = new AbortController();
  const quiet = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined};
  const seedFile = `${initDirectory(farm.paths)}/seeds/coordinator.seed`;
  const config = {servers: [`${control.address}:4222`], seedFile, name: 'matrix', inboxPrefix: inboxPrefix('coordinator')};
  const nc = await connectNats(config, quiet, stop.signal);
  const pid = mainProcess(control.host, 'mailherd-coordinator');
  const startMs = systemClock.now();
  let latest: MoveRecord | null = null;
  try {
    const bucket = await Bucket.open(nc, MOVE_BUCKET, MoveRecord, {create: false});
    await bucket.watch(entry => {
      if ('value' in entry && entry.value.user === user && entry.value.updatedAtMs >= startMs) latest = entry.value;
    }, stop.signal);
    const look = async (settleMs: Millis): Promise<MoveRecord | null> => {
      signal([pid], 'SIGSTOP');
      await systemClock.sleep(settleMs);
      await nc.flush();
      return latest;
    };
    begin();
    for (let slices = 0; systemClock.now() - startMs < REACH_MS; ) {
      const record = await look(SETTLE_MS);
      if (record?.step === step) {
        if (slices++ >= slicesInto && (await look(4 * SETTLE_MS))?.step === step) {
          return {moveId: record.id, release: () => signal([pid], 'SIGCONT')};
        }
      } else if (record !== null && isOver(record, step)) break;
      signal([pid], 'SIGCONT');
      await systemClock.sleep(SLICE_MS);
    }
    signal([pid], 'SIGCONT');
    return null;
  } catch (error) {
    signal([pid], 'SIGCONT');
    throw error;
  } finally {
    stop.abort();
    await nc.close();
  }
}

function isOver({step, timeline}: MoveRecord, wanted: MoveStep): boolean {
  return (
    timeline.some(each => each.step === wanted) ||
    step === 'backedOut' ||
    (step === 'retained' && wanted !== 'purging') ||
    step === 'purged'
  );
}
