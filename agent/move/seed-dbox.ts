import type {Bytes} from '../../base/units.ts';

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
