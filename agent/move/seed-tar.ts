import {assert} from '../../base/assert.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Bytes} from '../../base/units.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Blocks of a ustar archive (POSIX.1-1988): a header of 512 bytes a member, its content padded to whole blocks. */
const BLOCK = 512;
const NAME = {at: 0, length: 100};
const MODE = {at: 100, length: 8};
const SIZE = {at: 124, length: 12};
const TIME = {at: 136, length: 12};
const SUM = {at: 148, length: 8};
const TYPE_AT = 156;
const MAGIC = {at: 257, text: 'ustar\u000000'};
const USTAR = encoder.encode('ustar');
const TYPE_FILE = 0x30;
const TYPE_DIRECTORY = 0x35;
const PREFIX = {at: 345, length: 155};

export interface TarMember {
  name: string;
  isDirectory: boolean;
  bytes: Bytes;
}

/** What is said of the members before anything of them is passed on. @throws to refuse the archive. */
type OnMember = (member: TarMember) => void;

/**
 * Reads the headers of ustar archives, one after the other, in a stream that is cut anywhere, and nothing but their headers: files and
 * directories only, no links, devices, or extensions. Checksums are left to whoever unpacks. Behind the last archive may stand a text, which begins with `{`.
 */
export class TarReader {
  readonly #onMember: OnMember;
  #header = new Uint8Array(BLOCK);
  #headerFilled = 0;
  /** Content and padding of the present member still to come. */
  #left = 0;
  #tail: Uint8Array[] | null = null;
  #tailBytes = 0;

  constructor(onMember: OnMember) {
    this.#onMember = onMember;
  }

  /** @returns the part of `chunk` that belongs to archives. @throws MailherdError COPY_FAILED for what is no plain ustar archive. */
  push(chunk: Uint8Array): Uint8Array {
    let at = 0;
    while (at < chunk.length && this.#tail === null) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      if (this.#headerFilled === 0 && chunk[at] === 0x7b) {
        this.#tail = [];
        break;
      }
      const part = chunk.subarray(at, at + BLOCK - this.#headerFilled);
      this.#header.set(part, this.#headerFilled);
      this.#headerFilled += part.length;
      at += part.length;
      if (this.#headerFilled === BLOCK) this.#endHeader();
    }
    if (this.#tail !== null && at < chunk.length) this.#keep(chunk.slice(at));
    return chunk.subarray(0, at);
  }

  /** The text behind the archives. @throws MailherdError COPY_FAILED when the stream broke off before it. */
  tail(): string {
    if (this.#tail === null) throw new MailherdError('COPY_FAILED', {reason: 'the stream broke off'});
    return decoder.decode(concat(this.#tail));
  }

  #keep(part: Uint8Array): void {
    this.#tailBytes += part.length;
    if (this.#tailBytes > TAIL_BYTES_MAX) throw new MailherdError('COPY_FAILED', {reason: 'the summary is too long'});
    this.#tail?.push(part);
  }

  #endHeader(): void {
    this.#headerFilled = 0;
    // Archives end in blocks of zeros.
    if (this.#header[0] === 0 && this.#header.every(byte => byte === 0)) return;
    const member = readHeader(this.#header);
    this.#onMember(member);
    this.#left = Math.ceil(member.bytes / BLOCK) * BLOCK;
  }
}

const TAIL_BYTES_MAX = 16 * 1024 * 1024;

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function readHeader(header: Uint8Array): TarMember {
  const refuse = (reason: string): never => {
    throw new MailherdError('COPY_FAILED', {reason: `no plain ustar archive: ${reason}`});
  };
  for (let at = 0; at < USTAR.length; at++) if (header[MAGIC.at + at] !== USTAR[at]) refuse('magic');
  if (header[MAGIC.at + USTAR.length] !== 0) refuse('magic');
  const type = header[TYPE_AT] ?? 0;
  if (type !== TYPE_FILE && type !== TYPE_DIRECTORY) refuse(`a member of type ${JSON.stringify(String.fromCharCode(type))}`);
  const isDirectory = type === TYPE_DIRECTORY;
  const bytes = octal(header, SIZE);
  if (!Number.isSafeInteger(bytes) || (isDirectory && bytes > 0)) refuse('size');
  const name = text(header, NAME.at, NAME.length);
  return {name: header[PREFIX.at] === 0 ? name : `${text(header, PREFIX.at, PREFIX.length)}/${name}`, isDirectory, bytes};
}

/** The field up to its first zero byte. */
function text(header: Uint8Array, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return decoder.decode(end === -1 ? field : field.subarray(0, end));
}

/** Digits, filled up with zeros, that end in a zero byte or a blank. @returns NaN for anything else. */
function octal(header: Uint8Array, {at, length}: {at: number; length: number}): number {
  let value = 0;
  for (let place = at; place < at + length - 1; place++) {
    const digit = (header[place] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return Number.NaN;
    value = 8 * value + digit;
  }
  const end = header[at + length - 1];
  return end === 0 || end === 0x20 ? value : Number.NaN;
}

/** Sum of all bytes of the header, its own field counted as spaces. */
function checksum(header: Uint8Array): number {
  let sum = SUM.length * 0x20;
  for (let at = 0; at < SUM.at; at++) sum += header[at] ?? 0;
  for (let at = SUM.at + SUM.length; at < BLOCK; at++) sum += header[at] ?? 0;
  return sum;
}

/** One member as bytes: header, content, padding; see `tarHeader`. */
export function tarMember(name: string, content: string | Uint8Array | null, seconds: number): Uint8Array {
  const body = content instanceof Uint8Array ? content : encoder.encode(content ?? '');
  return concat([tarHeader(name, content === null ? null : body.length, seconds), body, tarPadding(body.length)]);
}

/** What follows so many bytes of content. */
export function tarPadding(bytes: Bytes): Uint8Array {
  return new Uint8Array(Math.ceil(bytes / BLOCK) * BLOCK - bytes);
}

/**
 * The header of a member. @param name at most 100 bytes, or 255 with a `/` in the right place.
 * @param bytes of its content; null for a directory. @param seconds its time. @throws MailherdError COPY_FAILED for a name that does not fit.
 */
export function tarHeader(name: string, bytes: Bytes | null, seconds: number): Uint8Array {
  const whole = new Uint8Array(BLOCK);
  const [prefix, rest] = splitName(name);
  const put = (at: number, value: string): void => whole.set(encoder.encode(value), at);
  put(NAME.at, rest);
  put(MODE.at, bytes === null ? '0000700' : '0000600');
  // Owner and group: whoever unpacks.
  put(108, '0000000');
  put(116, '0000000');
  put(SIZE.at, (bytes ?? 0).toString(8).padStart(11, '0'));
  put(TIME.at, seconds.toString(8).padStart(11, '0'));
  put(TYPE_AT, bytes === null ? '5' : '0');
  put(MAGIC.at, MAGIC.text);
  put(PREFIX.at, prefix);
  put(SUM.at, `${checksum(whole).toString(8).padStart(6, '0')}\0 `);
  return whole;
}

/** The end of an archive. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK);
}

function splitName(name: string): [prefix: string, rest: string] {
  assert(name !== '' && !name.startsWith('/'), 'names in an archive are relative');
  if (encoder.encode(name).length <= NAME.length) return ['', name];
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) {
    const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)];
    if (rest !== '' && encoder.encode(rest).length <= NAME.length && encoder.encode(prefix).length <= PREFIX.length) return [prefix, rest];
  }
  throw new MailherdError('COPY_FAILED', {reason: 'a name is too long for the archive', name});
}
