import {crc32, deflateRawSync, inflateRawSync} from 'node:zlib';
import Type from 'typebox';
import {decode} from '../../wire/codec.ts';

/** One message that could not be published. */
export const Parcel = Type.Object({subject: Type.String(), id: Type.String(), data: Type.Unknown()});
export type Parcel = Type.Static<typeof Parcel>;

/** Where a frame lies in a file: from `start`, `end` excluded. */
export interface Span {
  start: number;
  end: number;
}

/** Before each frame: these four bytes, length and CRC-32 of what follows (RFC 1952), both 32 bits little-endian. */
const MAGIC = Buffer.from([0x4d, 0x48, 0xf5, 0x01]);
const HEAD_BYTES = MAGIC.length + 8;
/** A report is a few kilobytes; a length beyond this is not one. */
const PAYLOAD_BYTES_MAX = 1_048_576;

/** A message as it lies on disk: compressed, and known again when it is whole. */
export function frameOf(parcel: Parcel): Buffer {
  const payload = deflateRawSync(JSON.stringify(parcel));
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(payload.length, MAGIC.length);
  head.writeUInt32LE(crc32(payload), MAGIC.length + 4);
  return Buffer.concat([head, payload]);
}

/** @throws MailherdError INPUT_INVALID, or zlib's errors, when the frame is not one. */
export function parcelIn(frame: Buffer, what: string): Parcel {
  return decode(Parcel, inflateRawSync(frame.subarray(HEAD_BYTES), {maxOutputLength: PAYLOAD_BYTES_MAX}), what);
}

/**
 * The whole frames of a file, in order, and how many stretches between them are something else (cut off, overwritten): each of
 * these was one message or more. Frames behind a spoilt stretch are found again.
 */
export function framesIn(content: Buffer): {frames: Span[]; spoilt: number} {
  const frames: Span[] = [];
  let spoilt = 0;
  let end = 0;
  for (let start = content.indexOf(MAGIC); start >= 0; ) {
    const next = endOfFrame(content, start);
    if (next === null) {
      start = content.indexOf(MAGIC, start + 1);
      continue;
    }
    if (start > end) spoilt++;
    frames.push({start, end: next});
    end = next;
    start = content.indexOf(MAGIC, end);
  }
  return {frames, spoilt: end < content.length ? spoilt + 1 : spoilt};
}

function endOfFrame(content: Buffer, start: number): number | null {
  const body = start + HEAD_BYTES;
  if (body > content.length) return null;
  const length = content.readUInt32LE(start + MAGIC.length);
  if (length > PAYLOAD_BYTES_MAX || body + length > content.length) return null;
  const isWhole = crc32(content.subarray(body, body + length)) === content.readUInt32LE(start + MAGIC.length + 4);
  return isWhole ? body + length : null;
}
