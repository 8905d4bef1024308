import {open} from 'node:fs/promises';
import {join} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import type {Bytes} from '../../base/units.ts';
import type {SeedSummary} from '../../wire/seed.ts';
import {type SeedLine, write} from './seed-line.io.ts';
import {TarReader, tarEnd, tarHeader, tarPadding} from './seed-tar.ts';
import {TextDigest} from './text-digest.io.ts';
import {start} from './tool.io.ts';

/** What tar may say of a file that is gone or renamed; whatever else it says, the archive may be wrong. */
const GONE =
  /: (?:Cannot (?:stat|open): No such file or directory|File removed before we read it|file changed as we read it|Exiting with failure status due to previous errors)$/;

/** The archive of a seed on its way to the target: whole members, and files as tar reads them. */
export class SeedArchive {
  readonly #line: SeedLine;
  readonly #reader: TarReader;
  /** What the target will have counted. */
  files = 0;
  bytes: Bytes = 0;

  /** @param parcel is told of every file. */
  constructor(line: SeedLine, parcel: Pick<SeedParcel, 'sent' | 'read'>) {
    this.#line = line;
    const text = new TextDigest();
    let present = {name: '', bytes: 0};
    const tell = (digest: Buffer | null): void => {
      if (digest !== null) parcel.read?.(present.name, digest, present.bytes);
    };
    this.#reader = new TarReader(
      ({name, isDirectory, bytes}) => {
        if (isDirectory) return;
        this.files++;
        this.bytes += bytes;
        present = {name, bytes};
        parcel.sent(name);
        if (parcel.read !== null) tell(text.begin(bytes));
      },
      parcel.read === null ? null : part => tell(text.push(part)),
    );
  }

  /** @throws MailherdError COPY_FAILED, or the socket's error. */
  async pass(bytes: Uint8Array): Promise<void> {
    this.#reader.push(bytes);
    await this.#line.say(bytes);
  }

  /** The beginning of a file that grows. @returns false when it is gone. @throws MailherdError COPY_FAILED when it has become shorter. */
  async passBeginning(root: string, path: string, bytes: Bytes, seconds: number): Promise<boolean> {
    const file = await open(join(root, path)).catch(ifGone);
    if (file === null) return false;
    try {
      await this.pass(tarHeader(path, bytes, seconds));
      let left = bytes;
      if (left > 0) {
        for await (const chunk of file.createReadStream({end: bytes - 1, autoClose: false})) {
          await this.pass(chunk as Buffer);
          left -= (chunk as Buffer).length;
        }
      }
      if (left > 0) throw new MailherdError('COPY_FAILED', {reason: 'a file has become shorter', path});
      await this.pass(tarPadding(bytes));
      return true;
    } finally {
      await file.close();
    }
  }

  end(): Promise<void> {
    return this.pass(tarEnd());
  }

  /**
   * Those of the files that are there. @param root what the paths are below. @param options of tar.
   * @throws MailherdError COPY_FAILED when tar says anything but that some are gone.
   */
  async passFiles(root: string, paths: readonly string[], options: readonly string[] = []): Promise<void> {
    const {child, ended} = start(
      [
        'tar',
        '--create',
        '--file=-',
        '--format=ustar',
        '--no-recursion',
        // A message that was copied to another folder is one file of two names.
        '--hard-dereference',
        '--blocking-factor=128',
        ...options,
        '--null',
        '--verbatim-files-from',
        '--files-from=-',
      ],
      null,
      root,
      GONE,
    );
    const {stdin, stdout} = child;
    if (stdin === null || stdout === null) throw new MailherdError('COMMAND_FAILED', {command: 'tar', reason: 'no pipes'});
    try {
      // It reads names while it writes files: neither may wait for the other.
      const named = write(stdin, paths.map(path => `${path}\0`).join('')).then(() => stdin.end());
      named.catch(() => undefined);
      for await (const chunk of stdout) await this.pass(chunk as Buffer);
      await named;
    } catch (error) {
      // Only then: it may still be on its way out when its output has come to an end.
      child.kill('SIGKILL');
      throw error;
    }
    const {exit, err} = await ended;
    if (exit === null || exit > 2 || err !== '') throw new MailherdError('COPY_FAILED', {reason: `tar: ${err.trim()}`, exit});
  }
}

/** For a file that may be removed meanwhile, with its directory or by itself. @throws whatever else is wrong with it. */
export function ifGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

/** A mailbox of one format as a seed. */
export interface SeedParcel {
  /** Told of every file that was sent, by its name in the archive. */
  sent(name: string): void;
  /** Told of the digest of its text; null where files are not just texts. */
  readonly read: ((name: string, digest: Buffer, bytes: Bytes) => void) | null;
  /** All of it. @returns what the target must find. @throws MailherdError COPY_FAILED */
  send(archive: SeedArchive): Promise<Pick<SeedSummary, 'folders' | 'gone'>>;
}
