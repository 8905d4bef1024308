import {assert} from '../../base/assert.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Bytes} from '../../base/units.ts';

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
const PREFIX = {at: 345, length: 155};

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
  const parts = splitName(name);
  if (parts === null) throw new MailherdError('COPY_FAILED', {reason: 'a name is too long for the archive', name});
  const [prefix, rest] = parts;
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

/** Whether a member may have that name. */
export function fitsTar(name: string): boolean {
  return splitName(name) !== null;
}

/** The end of an archive. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK);
}

/** @returns null for a name that does not fit. */
function splitName(name: string): [prefix: string, rest: string] | null {
  assert(name !== '' && !name.startsWith('/'), 'names in an archive are relative');
  if (encoder.encode(name).length <= NAME.length) return ['', name];
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) {
    const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)];
    if (rest !== '' && encoder.encode(rest).length <= NAME.length && encoder.encode(prefix).length <= PREFIX.length) return [prefix, rest];
  }
  return null;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
