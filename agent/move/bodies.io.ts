import {createHash, type Hash, hash} from 'node:crypto';
import {MailherdError} from '../../base/errors.ts';

/** The fields that a `BodyReader` reads, in this order. */
export const BODY_FIELDS = 'mailbox-guid uid size.physical text';

const HEADER = /^(?:\f\n)?mailbox-guid: ([0-9a-f]+)\nuid: (\d+)\nsize\.physical: (\d+)\ntext:\n/;
/** Longer than any header. */
const HEADER_BYTES_MAX = 256;
const CR = 0x0d;
const CRLF = '\r\n';

/**
 * Reads the stream of `doveadm -f pager fetch` with BODY_FIELDS: a SHA-256 of each message's whole text, lines ended by LF, whatever ends
 * them on disk: stores differ in that, and a copy between them may.
 */
export class BodyReader {
  readonly #found: (folderGuid: string, uid: number, digest: Buffer) => void;
  #head: Buffer = Buffer.alloc(0);
  #body: {folderGuid: string; uid: number; left: number; hash: Hash | null; endsInCr: boolean} | null = null;

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
    this.#body = {folderGuid, uid: Number(uid), left: Number(size), hash: null, endsInCr: false};
    const rest = joined.subarray(start + whole.length);
    return Number(size) === 0 ? this.#readBody(rest) : rest;
  }

  #readBody(chunk: Buffer): Buffer {
    const body = this.#body;
    if (body === null) return chunk;
    const text = chunk.subarray(0, body.left);
    body.left -= text.length;
    let digest: Buffer | null = null;
    // Nearly all come in one piece and have no CR: that is quicker without an object for each.
    if (body.left === 0 && body.hash === null && !text.includes(CR)) digest = hash('sha256', text, 'buffer');
    else {
      body.hash ??= createHash('sha256');
      this.#hash(body, body.hash, text);
      if (body.left === 0) digest = (body.endsInCr ? body.hash.update('\r') : body.hash).digest();
    }
    if (digest !== null) {
      this.#found(body.folderGuid, body.uid, digest);
      this.#body = null;
    }
    return chunk.subarray(text.length);
  }

  #hash(body: {endsInCr: boolean}, hash: Hash, text: Buffer): void {
    if (text.length === 0) return;
    if (body.endsInCr && text[0] !== 0x0a) hash.update('\r');
    body.endsInCr = text.at(-1) === CR;
    const end = body.endsInCr ? text.length - 1 : text.length;
    let from = 0;
    for (;;) {
      const at = text.indexOf(CRLF, from, 'latin1');
      if (at === -1) break;
      hash.update(text.subarray(from, at));
      from = at + 1;
    }
    hash.update(text.subarray(from, end));
  }

  #odd(reason: string): MailherdError {
    return new MailherdError('COMMAND_FAILED', {command: 'doveadm fetch', reason, uid: this.#body?.uid ?? null});
  }
}

/** SHA-256 of the texts of one folder by UID: 40 bytes a message. */
class FolderBodies {
  readonly #places = new Map<number, number>();
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

  put(folderGuid: string, uid: number, digest: Buffer): void {
    let folder = this.#folders.get(folderGuid);
    if (folder === undefined) {
      folder = new FolderBodies();
      this.#folders.set(folderGuid, folder);
    }
    folder.put(uid, digest);
  }

  get(folderGuid: string, uid: number): Buffer | null {
    return this.#folders.get(folderGuid)?.get(uid) ?? null;
  }

  /** What has doveadm fetch the texts of these messages that are not known; null when all are. @param uids ascending, by folder GUID. */
  query(uids: ReadonlyMap<string, readonly number[]>): string[] | null {
    const parts: string[][] = [];
    for (const [guid, all] of uids) {
      const unknown = all.filter(uid => this.get(guid, uid) === null);
      if (unknown.length > 0) parts.push(['(', 'mailbox-guid', guid, 'uid', `${unknown[0]}:${unknown.at(-1)}`, ')']);
    }
    return parts.length === 0 ? null : parts.flatMap((part, index) => (index === 0 ? part : ['OR', ...part]));
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
}
