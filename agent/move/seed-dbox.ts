import type {Bytes} from '../../base/units.ts';
import {fitsTar} from './seed-tar.ts';

/** A file that others may write to while it is read. */
export interface FileVersion {
  bytes: Bytes;
  /** Changes whenever the file does, but for changes within one tick of the file system's clock. */
  version: string;
  mtimeMs: number;
}

/** A change so shortly before the reading may have been followed by one that cannot be told from it. */
const RACY_MS = 2_000;

/**
 * Which of the files must be sent, again or for the first time: all but those that were sent as they are.
 * @param sent what each was before it was sent, and when that began.
 */
export function unsent(now: ReadonlyMap<string, FileVersion>, sent: ReadonlyMap<string, FileVersion & {begunMs: number}>): string[] {
  return [...now].flatMap(([name, {version, mtimeMs}]) => {
    const before = sent.get(name);
    return before !== undefined && before.version === version && mtimeMs < before.begunMs - RACY_MS ? [] : [name];
  });
}

/** Whether a folder, by its directory below the root, and all that lies above and in it may have their names in an archive. */
export function fitsArchive(directory: string): boolean {
  const parts = directory.split('/');
  return parts.every((_, at) => fitsTar(parts.slice(0, at + 1).join('/'))) && fitsTar(`${directory}/${LONGEST_NAME}`);
}

/** No message's file has a longer one. */
const LONGEST_NAME = 'dovecot.index.log';
