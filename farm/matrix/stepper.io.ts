import {spawnSync} from 'node:child_process';
import {readlinkSync} from 'node:fs';
import {setPriority} from 'node:os';
import {basename} from 'node:path';
import {parentPort, workerData} from 'node:worker_threads';
import {systemClock} from '../../base/clock.io.ts';
import {Bucket} from '../../wire/bucket.io.ts';
import {connectNats} from '../../wire/nats.io.ts';
import {MoveRecord, type MoveStep} from '../../wire/record.ts';
import {inboxPrefix, MOVE_BUCKET} from '../../wire/subjects.ts';
import {signal} from './processes.io.ts';

/** What this thread is told. */
export interface Wanted {
  /** The coordinator's process. */
  pid: number;
  server: string;
  seedFile: string;
  user: string;
  step: MoveStep;
  slicesInto: number;
}

/** Its answer; with an id the coordinator stands still in the wanted step of that move. */
export interface Found {
  moveId: string | null;
}

/** The coordinator runs this long, then it is looked at while it stands still. */
const SLICE_MS = 0.7;
/** Until the move is known, what was stored has to come to us by itself. */
const SETTLE_MS = 3;
const REACH_MS = 60_000;
const REAL_TIME_PRIORITY = '10';
const NICE = -20;

const wanted = workerData as Wanted;
const nap = new Int32Array(new SharedArrayBuffer(4));

async function main(): Promise<void> {
  const stop = new AbortController();
  const quiet = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined};
  const {pid, server, seedFile, user, step, slicesInto} = wanted;
  const config = {servers: [server], seedFile, name: 'matrix', inboxPrefix: inboxPrefix('coordinator')};
  const nc = await connectNats(config, quiet, stop.signal);
  const bucket = await Bucket.open(nc, MOVE_BUCKET, MoveRecord, {create: false});
  const startMs = systemClock.now();
  let moveId: string | null = null;
  await bucket.watch(entry => {
    if ('value' in entry && entry.value.user === user && entry.value.updatedAtMs >= startMs) moveId = entry.key;
  }, stop.signal);
  const look = async (): Promise<MoveRecord | null> => {
    if (moveId === null) await systemClock.sleep(SETTLE_MS);
    return moveId === null ? null : ((await bucket.get(moveId))?.value ?? null);
  };
  hurry();
  tell('ready');
  let found: string | null = null;
  for (let into = 0; found === null && systemClock.now() - startMs < REACH_MS; ) {
    signal([pid], 'SIGSTOP');
    const record = await look();
    if (record?.step === step) {
      if (into++ >= slicesInto) found = record.id;
    } else if (record !== null && isOver(record, step)) break;
    if (found !== null) break;
    signal([pid], 'SIGCONT');
    Atomics.wait(nap, 0, 0, SLICE_MS);
  }
  if (found === null) signal([pid], 'SIGCONT');
  stop.abort();
  await nc.close();
  tell({moveId: found} satisfies Found);
}

/** This thread has to be awake in time however busy the machine is: sched(7), or at least a nice value where that is not allowed. */
function hurry(): void {
  const {status} = spawnSync('chrt', ['--fifo', '--pid', REAL_TIME_PRIORITY, basename(readlinkSync('/proc/thread-self'))]);
  if (status !== 0) setPriority(0, NICE);
}

function tell(message: 'ready' | Found): void {
  parentPort?.postMessage(message);
}

function isOver({step, timeline}: MoveRecord, wantedStep: MoveStep): boolean {
  return (
    timeline.some(each => each.step === wantedStep) ||
    step === 'backedOut' ||
    (step === 'retained' && wantedStep !== 'purging') ||
    step === 'purged'
  );
}

await main();
