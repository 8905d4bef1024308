import type {Bytes} from '../base/units.ts';
import {addon, rethrow} from './binding.ts';

/** What the addon does to mailboxes that move, on threads of its own; `native/mailbox_calls.cc` is the other side. */

export interface MailboxAddon {
  openPipe(): [reading: number, writing: number];
  readTexts(descriptor: number): Promise<{folders: {guid: string; uids: Uint32Array; sums: Uint8Array}[]; odd: string; uid: number}>;
  FilePacker: new (root: string, paths: readonly string[], hasSums: boolean, dropsKeywords: boolean) => {next(): Promise<NativePiece>};
}
interface NativePiece {
  bytes: Uint8Array;
  files: Uint32Array;
  sizes: Float64Array;
  sums: Uint8Array;
  isLast: boolean;
}

/** SHA-256 of one text after the other, of 32 bytes each, lines ended by LF whatever ends them on disk: stores differ in that. */
export type TextSums = Buffer;
export const TEXT_SUM_BYTES: Bytes = 32;

export interface TextsRead {
  folders: {guid: string; uids: Uint32Array; sums: TextSums}[];
  /** Why what came was not what doveadm says, found at `uid`; what was told until then is in `folders`. Empty: it was. */
  odd: string;
  uid: number;
}

/** The two ends of a pipe (descriptors), which no program inherits by itself. @throws MailherdError NATIVE_FAILED */
export function openPipe(): {reading: number; writing: number} {
  try {
    const [reading, writing] = addon().openPipe();
    return {reading, writing};
  } catch (error) {
    return rethrow(error);
  }
}

/**
 * Digests of the texts that `doveadm -f pager fetch "mailbox-guid uid size.physical text"` writes into a pipe.
 * @param descriptor is read to its end, and closed. @throws MailherdError NATIVE_FAILED
 */
export async function readTexts(descriptor: number): Promise<TextsRead> {
  const {folders, ...rest} = await addon().readTexts(descriptor).catch(rethrow);
  return {...rest, folders: folders.map(folder => ({...folder, sums: inPlace(folder.sums)}))};
}

function inPlace({buffer, byteOffset, length}: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

/** Files that are complete, as places in the list of paths, with their sizes. */
export interface PackedFiles {
  files: Uint32Array;
  sizes: Float64Array;
  /** Of their texts; empty where they were not asked for. */
  sums: TextSums;
}

/** A piece of an archive, and the files that are complete with it. */
export interface PackedPiece extends PackedFiles {
  bytes: Uint8Array;
  isLast: boolean;
}

/** Makes a ustar archive of files, without its end: header by header as tar would, their texts digested on their way. */
export class FilePacker {
  readonly #native: {next(): Promise<NativePiece>};

  /**
   * @param root what the paths are below; its real path, without links. @param hasSums files are just texts.
   * @param dropsKeywords names in the archive are without the keywords of a maildir, the small letters at their end.
   */
  constructor(root: string, paths: readonly string[], {hasSums, dropsKeywords}: {hasSums: boolean; dropsKeywords: boolean}) {
    this.#native = new (addon().FilePacker)(root, paths, hasSums, dropsKeywords);
  }

  /**
   * The next piece, of some 256 KiB; not before the one before has come. What is gone is left out, what grows goes as long as it was when it was opened.
   * @throws MailherdError NATIVE_FAILED for what cannot be read, is no plain file, lies behind a link, has become shorter, or does not fit into an archive.
   */
  async next(): Promise<PackedPiece> {
    const piece = await this.#native.next().catch(rethrow);
    return {...piece, sums: inPlace(piece.sums)};
  }
}
