import {MailherdError} from '../../base/errors.ts';
import type {Bytes} from '../../base/units.ts';
import {FilePacker, type PackedFiles} from '../../native/mailbox.ts';
import type {SeedSummary} from '../../wire/seed.ts';
import {openPlain} from './plain-file.io.ts';
import type {SeedLine} from './seed-line.io.ts';
import {tarEnd, tarHeader, tarMember, tarPadding} from './seed-tar.ts';

/** The archive of a seed on its way to the target. */
export class SeedArchive {
  readonly #line: Pick<SeedLine, 'say'>;
  readonly #parcel: Pick<SeedParcel, 'sent' | 'areTexts'>;
  /** What the target will have counted. */
  files = 0;
  bytes: Bytes = 0;

  /** @param parcel is told of the files of `passFiles`. */
  constructor(line: Pick<SeedLine, 'say'>, parcel: Pick<SeedParcel, 'sent' | 'areTexts'>) {
    this.#line = line;
    this.#parcel = parcel;
  }

  /** A directory (`content` = null), or a file that is none of the mailbox's own. @throws MailherdError COPY_FAILED, or the socket's error. */
  async passMember(name: string, content: string | Uint8Array | null, seconds: number): Promise<void> {
    const member = tarMember(name, content, seconds);
    if (content !== null) {
      this.files++;
      this.bytes += Buffer.byteLength(content);
    }
    await this.#line.say(member);
  }

  /** The beginning of a file that grows. @returns false when it is gone. @throws MailherdError COPY_FAILED when it has become shorter, SEED_UNFIT. */
  async passBeginning(root: string, path: string, bytes: Bytes, seconds: number): Promise<boolean> {
    const file = await openPlain(root, path).catch(ifGone);
    if (file === null) return false;
    try {
      await this.#line.say(tarHeader(path, bytes, seconds));
      let left = bytes;
      if (left > 0) {
        for await (const chunk of file.createReadStream({end: bytes - 1, autoClose: false})) {
          await this.#line.say(chunk as Buffer);
          left -= (chunk as Buffer).length;
        }
      }
      if (left > 0) throw new MailherdError('COPY_FAILED', {reason: 'a file has become shorter', path});
      await this.#line.say(tarPadding(bytes));
      this.files++;
      this.bytes += bytes;
      return true;
    } finally {
      await file.close();
    }
  }

  end(): Promise<void> {
    return this.#line.say(tarEnd());
  }

  /**
   * Those of the files that are there; the next ones are read while the target takes what was. @param root what the paths are below; its real path.
   * @param dropsKeywords the names lose the keywords of a maildir.
   * @throws MailherdError COPY_FAILED, SEED_UNFIT for what lies behind a link, or the socket's error.
   */
  async passFiles(root: string, paths: readonly string[], dropsKeywords = false): Promise<void> {
    const packer = new FilePacker(root, paths, {hasSums: this.#parcel.areTexts, dropsKeywords});
    for (let reading = packer.next(); ; ) {
      const {bytes, isLast, ...packed} = await reading.catch(cause => {
        throw new MailherdError(isLink(cause) ? 'SEED_UNFIT' : 'COPY_FAILED', {reason: String(cause)}, {cause});
      });
      if (!isLast) reading = packer.next();
      // Whoever awaits it later still learns of it.
      reading.catch(() => undefined);
      this.files += packed.files.length;
      this.bytes += packed.sizes.reduce((sum, size) => sum + size, 0);
      this.#parcel.sent(packed);
      await this.#line.say(bytes);
      if (isLast) return;
    }
  }
}

function isLink(cause: unknown): boolean {
  return cause instanceof MailherdError && cause.detail.code === 'ELOOP';
}

/** For a file that may be removed meanwhile, with its directory or by itself. @throws whatever else is wrong with it. */
export function ifGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

/** A mailbox of one format as a seed. */
export interface SeedParcel {
  /** Told of the files of `passFiles` that were sent, by their places among its paths, and what their texts are where files are just texts. */
  sent(packed: PackedFiles): void;
  readonly areTexts: boolean;
  /** All of it. @returns what the target must find. @throws MailherdError COPY_FAILED, SEED_UNFIT */
  send(archive: SeedArchive): Promise<Pick<SeedSummary, 'folders' | 'gone'>>;
}
