import {constants} from 'node:fs';
import {type FileHandle, open, readlink} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import {type Bytes, MIB} from '../../base/units.ts';

/**
 * Of one mailbox's lists of messages, all together: some 1.3 million lines of uidlists. What is made of them takes several times as much, and
 * the mover has 1 GiB for all moves of its host.
 */
const LISTS_BYTES_MAX: Bytes = 128 * MIB;
/** How the kernel refuses a link, and a socket. */
const NOT_PLAIN = new Set(['ELOOP', 'ENXIO']);

/**
 * Opens a file in whose place the owner of the mailbox may have put anything, and in that of the directories above: it waits for nothing and
 * follows no link. @param root its real path.
 * @throws MailherdError SEED_UNFIT for what is no plain file, or the system's error.
 */
export async function openPlain(root: string, path: string): Promise<FileHandle> {
  const above = join(root, dirname(path));
  const directory = await open(above, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const opened = `/proc/self/fd/${directory.fd}`;
    // Whatever becomes of the path from here on: this is where it leads.
    if ((await readlink(opened)) !== above) throw notPlain(path);
    return await openIn(opened, path);
  } finally {
    await directory.close();
  }
}

async function openIn(directory: string, path: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(join(directory, basename(path)), flags).catch(error => {
    throw NOT_PLAIN.has(error.code) ? notPlain(path) : error;
  });
  try {
    if (!(await file.stat()).isFile()) throw notPlain(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function notPlain(path: string): MailherdError {
  return new MailherdError('SEED_UNFIT', {reason: `no plain file, or behind a link: ${path}`});
}

/** Reads lists of messages of one mailbox, whose owner may have made them as large as he likes without having written anything. */
export class ListReader {
  readonly #root: string;
  #bytesLeft = LISTS_BYTES_MAX;

  /** @param root its real path. */
  constructor(root: string) {
    this.#root = root;
  }

  /** @returns what the file had when it was opened. @throws MailherdError SEED_UNFIT for no plain file, or too much; or the system's error. */
  async read(path: string): Promise<Buffer> {
    const file = await openPlain(this.#root, path);
    try {
      const {size} = await file.stat();
      if (size > this.#bytesLeft) throw new MailherdError('SEED_UNFIT', {reason: `its lists of messages are too long: ${path}`});
      this.#bytesLeft -= size;
      const bytes = Buffer.alloc(size);
      for (let at = 0; at < size; ) {
        const {bytesRead} = await file.read(bytes, at, size - at, at);
        // It has become shorter.
        if (bytesRead === 0) return bytes.subarray(0, at);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }
}
