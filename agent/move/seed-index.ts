/** Layouts of Dovecot's index format 7 and its log format 1 (mail-index.h, mail-transaction-log.h), as little-endian machines write them. */
const INDEX = {major: 7, headerSizeAt: 4, recordSizeAt: 8, messagesAt: 32, logSeqAt: 60, logHeadAt: 68, headerMin: 120};
const LOG = {major: 1, headerSizeAt: 2, seqAt: 8, previousSeqAt: 12, previousEndAt: 16, headerMin: 24};
const EXTERNAL = 0x10000000;
const TYPE_MASK = 0x0fffffff & ~0x20000000;
/** Kinds of changes that decide which messages there are; a removal must carry bits against mistakes. */
const APPENDED = 0x2;
const EXPUNGED = 0xcd91;
const EXPUNGED_BY_GUID = 0xed90;
const FOLDER_DELETED = 0x20000;
const GROUP = 0x80000;
const UID_CHANGED = 0x4000;

/**
 * Which UIDs a mailbox index has, from copies of its two files: `dovecot.index`, which is only ever replaced as a whole, and what was
 * appended to `dovecot.index.log` since. So it also tells whether the copies fit to each other and end where a change ends.
 * @param index null where there is none yet: then the log tells everything.
 * @returns null when they do not, or when either is of a kind that is not known here.
 */
export function uidsIn(index: Uint8Array | null, log: Uint8Array): Set<number> | null {
  const head = readLogHeader(log);
  const base = index === null ? {uids: [], logSeq: head?.seq, logHead: head?.bytes ?? 0} : readIndex(index);
  if (head === null || base === null) return null;
  const isOlder = base.logSeq === head.previousSeq && base.logHead === head.previousEnd;
  if (index === null ? head.previousSeq !== 0 : base.logSeq !== head.seq && !isOlder) return null;
  return replay(log, isOlder ? head.bytes : base.logHead, new Set(base.uids));
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readLogHeader(log: Uint8Array): {bytes: number; seq: number; previousSeq: number; previousEnd: number} | null {
  if (log.length < LOG.headerMin || log[0] !== LOG.major) return null;
  const at = view(log);
  const bytes = at.getUint16(LOG.headerSizeAt, true);
  // No id: Dovecot itself has given it up.
  if (bytes < LOG.headerMin || at.getUint32(4, true) === 0) return null;
  const [seq, previousSeq, previousEnd] = [LOG.seqAt, LOG.previousSeqAt, LOG.previousEndAt].map(each => at.getUint32(each, true));
  return {bytes, seq: seq ?? 0, previousSeq: previousSeq ?? 0, previousEnd: previousEnd ?? 0};
}

function readIndex(index: Uint8Array): {uids: number[]; logSeq: number; logHead: number} | null {
  if (index.length < INDEX.headerMin || index[0] !== INDEX.major) return null;
  const at = view(index);
  const [headerSize, recordSize, messages] = [INDEX.headerSizeAt, INDEX.recordSizeAt, INDEX.messagesAt].map(each =>
    at.getUint32(each, true),
  ) as [number, number, number];
  if (recordSize < 8 || index.length < headerSize + messages * recordSize) return null;
  const uids = Array.from({length: messages}, (_, row) => at.getUint32(headerSize + row * recordSize, true));
  return {uids, logSeq: at.getUint32(INDEX.logSeqAt, true), logHead: at.getUint32(INDEX.logHeadAt, true)};
}

/** Applies what stands in the log from `from` to its end. */
function replay(log: Uint8Array, from: number, uids: Set<number>): Set<number> | null {
  const at = view(log);
  let position = from;
  while (position + 8 <= log.length) {
    const bytes = readSize(log, position);
    if (bytes === null || bytes < 8 || position + bytes > log.length) return null;
    const flags = at.getUint32(position + 4, true);
    if (!apply(at, position + 8, position + bytes, flags, uids)) return null;
    // What belongs together is applied by Dovecot only when all of it is there.
    if ((flags & TYPE_MASK) === GROUP && position + at.getUint32(position + 8, true) > log.length) return null;
    position += bytes;
  }
  return position === log.length ? uids : null;
}

/** A size of which each byte has its highest bit set once it counts; the highest comes first. */
function readSize(log: Uint8Array, position: number): number | null {
  let size = 0;
  for (let index = 0; index < 4; index++) {
    const byte = log[position + index] ?? 0;
    if (byte < 0x80) return null;
    size = (size << 7) | (byte & 0x7f);
  }
  return size << 2;
}

/** @returns false for a change that no copy should be made of. */
function apply(at: DataView, from: number, to: number, flags: number, uids: Set<number>): boolean {
  const type = flags & TYPE_MASK;
  if (type === FOLDER_DELETED || type === UID_CHANGED) return false;
  if (type === APPENDED) for (let row = from; row + 8 <= to; row += 8) uids.add(at.getUint32(row, true));
  // Others are requests that have not been carried out yet.
  if ((flags & EXTERNAL) === 0) return true;
  if (type === EXPUNGED_BY_GUID) for (let row = from; row + 20 <= to; row += 20) uids.delete(at.getUint32(row, true));
  if (type !== EXPUNGED) return true;
  for (let row = from; row + 8 <= to; row += 8) if (!expunge(at.getUint32(row, true), at.getUint32(row + 4, true), uids)) return false;
  return true;
}

/** @returns false for a range that is none. */
function expunge(first: number, last: number, uids: Set<number>): boolean {
  // The owner may write any range, up to one of four thousand million UIDs.
  if (last - first < uids.size) for (let uid = first; uid <= last; uid++) uids.delete(uid);
  else for (const uid of uids) if (uid >= first && uid <= last) uids.delete(uid);
  return first <= last;
}
