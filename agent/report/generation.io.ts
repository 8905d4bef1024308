import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import {replaceFileDurably} from '../../base/replace.io.ts';
import {type Instant, SECOND_MS} from '../../base/units.ts';

/**
 * Greater than at any start before, kept on disk before it is used: reports of two runs never carry the same name.
 * The seconds since 1970 where they are greater than the last one plus 1: what is on disk is gone when the host is reinstalled.
 * @throws MailherdError STORE_CORRUPT when the file holds something else than a number; the file system's errors.
 */
export async function nextGeneration(stateDir: string, nowMs: Instant): Promise<number> {
  const path = join(stateDir, 'generation');
  const next = Math.max((await lastGeneration(path)) + 1, Math.floor(nowMs / SECOND_MS));
  await replaceFileDurably(path, `${next}\n`);
  return next;
}

/** Which start of the agent this is, and which was the first one on this system. */
export interface Start {
  generation: number;
  /** Generation of the first start here: another one only where the state directory is gone, as after a reinstall. */
  installation: number;
}

/** Counts a start; see `nextGeneration`. A system on which an older agent ran first is known from now on. */
export async function thisStart(stateDir: string, nowMs: Instant): Promise<Start> {
  const generation = await nextGeneration(stateDir, nowMs);
  const path = join(stateDir, 'installation');
  const first = await lastGeneration(path);
  if (first === 0) await replaceFileDurably(path, `${generation}\n`);
  return {generation, installation: first === 0 ? generation : first};
}

async function lastGeneration(path: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  if (!/^\d{1,15}\n?$/.test(text)) throw new MailherdError('STORE_CORRUPT', {path, text: text.slice(0, 40)});
  return Number(text);
}
