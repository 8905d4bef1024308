import {createHash} from 'node:crypto';
import {setNewest} from '../../base/bounded.ts';
import {MailherdError} from '../../base/errors.ts';
import {TextDigest} from './text-digest.io.ts';

/** The fields that a `BodyReader` reads, in this order. */
export const BODY_FIELDS = 'mailbox-guid uid size.physical text';

const HEADER = /^(?:\f\n)?mailbox-guid: ([0-9a-f]+)\nuid: (\d+)\nsize\.physical: (\d+)\ntext:\n/;
/** Longer than any header. */
const HEADER_BYTES_MAX = 256;
/** Of so many users' messages the digests are remembered at once; of others they are read again. */
const USERS_MAX = 64;

/** Reads the stream of `doveadm -f pager fetch` with BODY_FIELDS: the digest of each message's whole text. */
export class BodyReader {
  readonly #found: (folderGuid: string, uid: number, digest: Buffer) => void;
  readonly #digest = new TextDigest();
  #head: Buffer = Buffer.alloc(0);
  #body: {folderGuid: string; uid: number; left: number} | null = null;

  constructor(found: (folderGuid: string, uid: number, digest: Buffer) => void) {
    this.#found = found;
  }

  /** @throws MailherdError COMMAND_FAILED when a message is not as long as Dovecot says. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) rest = this.#body === null ? this.#readHead(rest) : this.#readBody(rest);
  }

  /** @throws MailherdError COMMAND_FAILED when the stream ended within a message. */
  end(): void {
    if (this.#body !== null || this.#head.toString('latin1').trim() !== '') throw this.#odd('the text of a message is cut short');
  }

  #readHead(chunk: Buffer): Buffer {
    const joined = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    // A line end follows each text.
    const start = joined[0] === 0x0a ? 1 : 0;
    const [whole, folderGuid = '', uid, size] = HEADER.exec(joined.toString('latin1', start, start + HEADER_BYTES_MAX)) ?? [];
    if (whole === undefined) {
      if (joined.length > HEADER_BYTES_MAX) throw this.#odd('a message is longer than its size says');
      this.#head = joined;
      return Buffer.alloc(0);
    }
    this.#head = Buffer.alloc(0);
    const body = {folderGuid, uid: Number(uid), left: Number(size)};
    const empty = this.#digest.begin(body.left);
    if (empty === null) this.#body = body;
    else this.#found(folderGuid, body.uid, empty);
    return joined.subarray(start + whole.length);
  }

  #readBody(chunk: Buffer): Buffer {
    const body = this.#body;
    if (body === null) return chunk;
    const text = chunk.subarray(0, body.left);
    body.left -= text.length;
    const digest = this.#digest.push(text);
    if (digest !== null) {
      this.#found(body.folderGuid, body.uid, digest);
      this.#body = null;
    }
    return chunk.subarray(text.length);
  }

  #odd(reason: string): MailherdError {
    return new MailherdError('COMMAND_FAILED', {command: 'doveadm fetch', reason, uid: this.#body?.uid ?? null});
  }
}

/** SHA-256 of the texts of one folder by UID: 40 bytes a message. */
class FolderBodies {
  readonly #places = new Map<number, number>();
  /** Up to this UID all that there were are known. */
  through = 0;
  #digests = Buffer.alloc(32 * 64);

  put(uid: number, digest: Buffer): void {
    const place = this.#places.get(uid) ?? this.#places.size;
    if (32 * place >= this.#digests.length) this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)]);
    digest.copy(this.#digests, 32 * place);
    this.#places.set(uid, place);
  }

  get(uid: number): Buffer | null {
    const place = this.#places.get(uid);
    return place === undefined ? null : this.#digests.subarray(32 * place, 32 * (place + 1));
  }
}

/** What is known of the texts of one mailbox's messages. A text never changes under its UID (RFC 3501 2.3.1.1). */
export class BodyDigests {
  readonly #folders = new Map<string, FolderBodies>();
  /** Reading broke off or was complained of: which are known must be looked at one by one. */
  isBroken = false;

  put(folderGuid: string, uid: number, digest: Buffer): void {
    this.#folder(folderGuid).put(uid, digest);
  }

  /** All texts of the folder up to that UID were read. */
  readThrough(folderGuid: string, uid: number): void {
    const folder = this.#folder(folderGuid);
    folder.through = Math.max(folder.through, uid);
  }

  get(folderGuid: string, uid: number): Buffer | null {
    return this.#folders.get(folderGuid)?.get(uid) ?? null;
  }

  /** What has doveadm fetch the texts of these messages that are not known; null when all are. @param uids ascending, by folder GUID. */
  query(uids: ReadonlyMap<string, readonly number[]>): string[] | null {
    return queryFor(
      [...uids].map(([guid, all]) => {
        const unknown = all.filter(uid => this.get(guid, uid) === null);
        return [guid, unknown[0] ?? 1, unknown.at(-1) ?? 0];
      }),
    );
  }

  /** The same for whatever was not read yet below these UIDs. @param nextUids by folder GUID. */
  queryBelow(nextUids: ReadonlyMap<string, number>): string[] | null {
    return queryFor([...nextUids].map(([guid, next]) => [guid, this.#folder(guid).through + 1, next - 1]));
  }

  /**
   * SHA-256 over UID and text of each of these messages.
   * @throws MailherdError COMMAND_FAILED when the text of one is not known: Dovecot did not give it.
   */
  digest(folderGuid: string, uids: readonly number[]): string {
    const hash = createHash('sha256');
    for (const uid of uids) {
      const digest = this.get(folderGuid, uid);
      if (digest === null) throw new MailherdError('COMMAND_FAILED', {command: 'doveadm fetch', folderGuid, uid, reason: 'no text came'});
      hash.update(`${uid} `).update(digest);
    }
    return hash.digest('hex');
  }

  #folder(guid: string): FolderBodies {
    const known = this.#folders.get(guid);
    if (known !== undefined) return known;
    const folder = new FolderBodies();
    this.#folders.set(guid, folder);
    return folder;
  }
}

/** @param ranges of UIDs, from and to, by folder GUID; empty where `to` is before `from`. @returns null when all are. */
function queryFor(ranges: readonly (readonly [guid: string, from: number, to: number])[]): string[] | null {
  const parts = ranges
    .filter(([, from, to]) => from <= to)
    .map(([guid, from, to]) => ['(', 'mailbox-guid', guid, 'uid', `${from}:${to}`, ')']);
  return parts.length === 0 ? null : parts.flatMap((part, index) => (index === 0 ? part : ['OR', ...part]));
}

/** What this host knows of the texts of mailboxes that are moved. */
export class KnownTexts {
  readonly #users = new Map<string, BodyDigests>();

  of(user: string): BodyDigests {
    const digests = this.#users.get(user) ?? new BodyDigests();
    setNewest(this.#users, user, digests, USERS_MAX);
    return digests;
  }

  forget(user: string): void {
    this.#users.delete(user);
  }
}
