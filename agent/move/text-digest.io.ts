import {createHash, type Hash, hash} from 'node:crypto';

const CR = 0x0d;
const LF = 0x0a;
const CRLF = '\r\n';

/**
 * SHA-256 of one text after the other, each in as many pieces as it comes in, lines ended by LF whatever ends them on disk: stores differ
 * in that, and a copy between them may.
 */
export class TextDigest {
  #left = 0;
  #hash: Hash | null = null;
  #endsInCr = false;

  /** @param bytes of the next text. @returns its digest when it is empty. */
  begin(bytes: number): Buffer | null {
    this.#left = bytes;
    this.#hash = null;
    this.#endsInCr = false;
    return bytes === 0 ? hash('sha256', '', 'buffer') : null;
  }

  /** @param part no longer than what is left of the text. @returns the digest when it is complete. */
  push(part: Uint8Array): Buffer | null {
    this.#left -= part.length;
    // Nearly all come in one piece and have no CR: that is quicker without an object for each.
    if (this.#left === 0 && this.#hash === null && !part.includes(CR)) return hash('sha256', part, 'buffer');
    this.#hash ??= createHash('sha256');
    this.#add(this.#hash, Buffer.from(part.buffer, part.byteOffset, part.length));
    if (this.#left > 0) return null;
    return (this.#endsInCr ? this.#hash.update('\r') : this.#hash).digest();
  }

  #add(hash: Hash, text: Buffer): void {
    if (text.length === 0) return;
    if (this.#endsInCr && text[0] !== LF) hash.update('\r');
    this.#endsInCr = text.at(-1) === CR;
    const end = this.#endsInCr ? text.length - 1 : text.length;
    let from = 0;
    for (;;) {
      const at = text.indexOf(CRLF, from, 'latin1');
      if (at === -1) break;
      hash.update(text.subarray(from, at));
      from = at + 1;
    }
    hash.update(text.subarray(from, end));
  }
}
