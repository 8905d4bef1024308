import {readFileSync} from 'node:fs';
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';
import Type from 'typebox';
import {decode} from '../../wire/codec.ts';
import type {Paths} from '../paths.ts';

/** A process that may be ended later: a pid alone could be somebody else's by then. */
export const ProcessMark = Type.Object({
  pid: Type.Integer({minimum: 2}),
  /** Start time in clock ticks since boot, /proc/PID/stat field 22 (proc(5)). */
  startTicks: Type.Integer({minimum: 0}),
});
export type ProcessMark = Type.Static<typeof ProcessMark>;

const Release = Type.Union([Type.Literal('bookworm'), Type.Literal('trixie')]);

export const MachineState = Type.Object({
  nspawn: ProcessMark,
  /** The machine's own process 1. */
  init: ProcessMark,
  bootedAtMs: Type.Integer(),
  bootMs: Type.Number(),
});
export type MachineState = Type.Static<typeof MachineState>;

export const FarmState = Type.Object({
  v: Type.Literal(1),
  machines: Type.Record(Type.String(), MachineState),
  /** What hosts are installed with; a host that is off keeps its entry, and its disks. */
  installed: Type.Record(Type.String(), Type.Object({release: Release})),
  /** Other processes the farm started: traffic, provisioner. */
  helpers: Type.Record(Type.String(), ProcessMark),
  /** Faults that are on: host -> fault -> strength. */
  faults: Type.Record(Type.String(), Type.Record(Type.String(), Type.String())),
  /** Kernel settings raised for the farm, with the value they had. */
  sysctls: Type.Record(Type.String(), Type.String()),
  /** The .deb the hosts were installed with; null = without the project's software. */
  software: Type.Union([Type.String(), Type.Null()]),
});
export type FarmState = Type.Static<typeof FarmState>;

const EMPTY: FarmState = {v: 1, machines: {}, installed: {}, helpers: {}, faults: {}, sysctls: {}, software: null};

/** What the farm has running, empty when there is none. @throws MailherdError INPUT_INVALID when the file was damaged. */
export async function readState(paths: Paths): Promise<FarmState> {
  let text: string;
  try {
    text = await readFile(paths.state, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return structuredClone(EMPTY);
    throw error;
  }
  return decode(FarmState, text, paths.state);
}

let chain: Promise<unknown> = Promise.resolve();

/** Changes the state file; changes come one after another, from other processes too, and readers see the old or the new file whole. */
export function changeState(paths: Paths, change: (state: FarmState) => void): Promise<void> {
  const next = chain.then(async () => {
    await mkdir(dirname(paths.state), {recursive: true});
    const unlock = await lock(`${paths.state}.lock`);
    try {
      const state = await readState(paths);
      change(state);
      const temporary = `${paths.state}.${process.pid}`;
      await writeFile(temporary, `${JSON.stringify(state, null, 2)}\n`);
      await rename(temporary, paths.state);
    } finally {
      await unlock();
    }
  });
  chain = next.catch(() => undefined);
  return next;
}

/** Waits for a lock file that holds the pid of its owner; one whose owner is gone is taken over. @returns how to let go of it. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(path, `${process.pid}`, {flag: 'wx'});
      return () => rm(path, {force: true});
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && markOf(owner) === null) await rm(path, {force: true});
    else await new Promise(resolve => setTimeout(resolve, 10));
  }
}

/** The mark of a live process, null when there is none of that pid. */
export function markOf(pid: number): ProcessMark | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null; // gone: that is the answer
  }
  // The name in brackets may hold anything; fields count from after its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? null : {pid, startTicks: Number(fields[19])};
}

/** True while exactly that process lives. */
export function isAlive(mark: ProcessMark): boolean {
  return markOf(mark.pid)?.startTicks === mark.startTicks;
}
