import {describe, expect, test} from 'vitest';
import {uidsIn} from '../../../../agent/move/seed-index.ts';

const [EXTERNAL, APPENDED, EXPUNGED, EXPUNGED_BY_GUID, GROUP] = [0x10000000, 0x2, 0xcd91, 0xed90, 0x80000];

/** Numbers as Dovecot writes them. */
function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}

function record(type: number, content: Buffer): Buffer {
  const size = (content.length + 8) >> 2;
  const head = Buffer.from([21, 14, 7, 0].map(shift => 0x80 | ((size >> shift) & 0x7f)));
  return Buffer.concat([head, words(type), content]);
}

const appended = (...uids: number[]): Buffer => record(APPENDED | EXTERNAL, words(...uids.flatMap(uid => [uid, 0])));
const expunged = (type: number, ...uids: number[]): Buffer =>
  record(type, Buffer.concat(uids.map(uid => Buffer.concat([words(uid), Buffer.alloc(16, 7)]))));

const LOG_HEADER = 40;
function log(records: readonly Buffer[], {seq = 2, previousSeq = 1, previousEnd = 500} = {}): Buffer {
  const header = Buffer.alloc(LOG_HEADER);
  header.set([1, 3]);
  header.writeUInt16LE(LOG_HEADER, 2);
  words(99, seq, previousSeq, previousEnd).copy(header, 4);
  return Buffer.concat([header, ...records]);
}

function index(uids: readonly number[], logSeq: number, logHead: number): Buffer {
  const header = Buffer.alloc(120);
  header.set([7, 3]);
  words(120, 12).copy(header, 4);
  header.writeUInt32LE(uids.length, 32);
  words(logSeq, logHead - 4, logHead).copy(header, 60);
  return Buffer.concat([header, ...uids.map(uid => words(uid, 0, 0))]);
}

const sorted = (uids: Set<number> | null): number[] | null => (uids === null ? null : [...uids]);

describe('the messages of an index', () => {
  test('are those of the file and of what was logged since', () => {
    const before = [appended(1, 2)];
    const after = [appended(4, 7), expunged(EXPUNGED_BY_GUID | EXTERNAL, 2), record(EXPUNGED | EXTERNAL, words(4, 6))];
    const head = LOG_HEADER + (before[0]?.length ?? 0);
    expect(sorted(uidsIn(index([1, 2, 3], 2, head), log([...before, ...after])))).toEqual([1, 3, 7]);
  });

  test('are those of the log alone where there is no file yet', () => {
    expect(sorted(uidsIn(null, log([appended(1, 2), appended(3)], {seq: 1, previousSeq: 0, previousEnd: 0})))).toEqual([1, 2, 3]);
  });

  test('are not changed by what is only asked for', () => {
    expect(sorted(uidsIn(index([1, 2], 2, LOG_HEADER), log([expunged(EXPUNGED_BY_GUID, 2)])))).toEqual([1, 2]);
  });

  test('are read on where a log has just been replaced', () => {
    expect(sorted(uidsIn(index([1], 1, 500), log([appended(2)])))).toEqual([1, 2]);
  });

  test('are found at once however much a change removes', () => {
    const range = record(EXPUNGED | EXTERNAL, words(2, 0xffff_ffff));
    const started = performance.now();
    expect(sorted(uidsIn(index([1, 2, 3], 2, LOG_HEADER), log([range, appended(4), range, range])))).toEqual([1]);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('copies that do not fit are told', () => {
  const whole = log([appended(4), appended(5, 6)]);
  const own = index([1], 2, LOG_HEADER);

  test('an end in the middle of a change, wherever it is', () => {
    const ends = Array.from({length: whole.length}, (_, length) => length).filter(
      length => uidsIn(own, whole.subarray(0, length)) !== null,
    );
    // The only ends that count: behind the header, and behind the first change.
    expect(ends).toEqual([LOG_HEADER, LOG_HEADER + appended(4).length]);
  });

  test.each<[string, Buffer | null, Buffer]>([
    ['a change whose size does not count yet', own, log([Buffer.concat([words(16 >> 2, APPENDED), words(4, 0)])])],
    ['a group of which a part is there', own, log([record(GROUP | EXTERNAL, words(200)), appended(4)])],
    ['a log from before the index', index([1], 3, LOG_HEADER), whole],
    ['a log from after the next one', index([1], 1, 400), whole],
    ['no index, and a log that is not the first', null, whole],
    ['a log that Dovecot gave up', own, Buffer.concat([whole.subarray(0, 4), words(0), whole.subarray(8)])],
    ['an index that was cut', own.subarray(0, own.length - 1), whole],
    ['an index of another kind', Buffer.concat([Buffer.from([8]), own.subarray(1)]), whole],
    ['a folder that is being deleted', own, log([record(0x20000 | EXTERNAL, words(0))])],
    ['a range of removals that ends before it begins', own, log([record(EXPUNGED | EXTERNAL, words(6, 4))])],
    ['nothing at all', null, Buffer.alloc(0)],
  ])('%s', (_what, file, text) => {
    expect(uidsIn(file, text)).toBeNull();
  });
});
