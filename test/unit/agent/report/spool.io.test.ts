import {appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Spool} from '../../../../agent/report/spool.io.ts';
import {seededRng} from '../../../../base/random.ts';

const FIRST = '000000000001';
let folder: string;
const opened: Spool[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-spool-'));
});
afterEach(async () => {
  for (const spool of opened.splice(0)) await spool.close();
  rmSync(folder, {recursive: true});
});

function open(bytesMax = 1_000_000): Spool {
  const spool = new Spool(folder, bytesMax);
  opened.push(spool);
  return spool;
}

/** Another process takes over; the one before was killed and closed nothing. */
async function reopen(bytesMax?: number): Promise<Spool> {
  const spool = open(bytesMax);
  await spool.load();
  return spool;
}

const noise = seededRng(1);
/** Nothing in it can be compressed away. */
const parcel = (at: number, bytes = 50) => ({
  subject: 'mailherd.report.be01',
  id: `be01-1-${at}`,
  data: {at, text: Array.from({length: bytes}, () => String.fromCharCode(33 + noise.below(90))).join('')},
});

async function fill(spool: Spool, from: number, to: number, bytes?: number): Promise<void> {
  for (let at = from; at <= to; at++) await spool.push(parcel(at, bytes));
}

async function drain(spool: Spool): Promise<number[]> {
  const order: number[] = [];
  for (let next = await spool.newest(); next !== null; next = await spool.newest()) {
    order.push((next.data as {at: number}).at);
    await spool.removeNewest();
  }
  return order;
}

const segments = (): string[] => readdirSync(folder).filter(name => /^\d+$/.test(name));
const bytesOnDisk = (): number => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
const downFrom = (newest: number, count: number): number[] => Array.from({length: count}, (_, at) => newest - at);

test('the newest comes out first, and is there until it is removed', async () => {
  const spool = open();
  await fill(spool, 1, 4);
  const fifth = parcel(5);
  await spool.push(fifth);
  expect(await spool.newest()).toEqual(fifth);
  expect(await spool.newest()).toEqual(fifth);
  await spool.removeNewest();
  await spool.push(parcel(6));
  expect(spool.count).toBe(5);
  expect(await drain(spool)).toEqual([6, 4, 3, 2, 1]);
  expect(await spool.newest()).toBeNull();
  expect(segments()).toEqual([]);
});

test('it survives a process that is killed at any time', async () => {
  await fill(open(20_000), 1, 30, 300);
  const second = await reopen(20_000);
  expect(second.count).toBe(30);
  expect((await second.newest())?.id).toBe('be01-1-30');
  await second.removeNewest();
  await second.push(parcel(31));
  expect(segments().length).toBeGreaterThan(3);
  expect(await drain(await reopen(20_000))).toEqual([31, ...downFrom(29, 29)]);
});

test('it never grows beyond its bound; the oldest sixteenth goes and is counted, across restarts too', async () => {
  const bytesMax = 40_000;
  let spool = open(bytesMax);
  for (let at = 1; at <= 400; at++) {
    await spool.push(parcel(at, at % 600));
    expect(bytesOnDisk()).toBeLessThanOrEqual(bytesMax + 10);
    if (at % 90 === 0) spool = await reopen(bytesMax);
  }
  expect(spool.count + spool.dropped).toBe(400);
  expect(spool.count).toBeGreaterThan(80);
  const kept = spool.count;
  expect(await drain(spool)).toEqual(downFrom(400, kept));
  await spool.push(parcel(401, 5_000));
  expect(spool.count).toBe(0);
  expect((await reopen(bytesMax)).dropped).toBe(401 - kept);
});

test('a day of reports fits into its 32 MiB', async () => {
  const spool = open(32 * 1024 * 1024);
  const group = (name: string, size: number): object =>
    Object.fromEntries(Array.from({length: size}, (_, at) => [`${name}FigureNumber${at}`, Number((noise.unit() * 1e6).toPrecision(4))]));
  const day = 8_640;
  let bytes = 0;
  for (let at = 1; at <= day; at++) {
    const data = {at, kernel: group('kernel', 60), queue: group('queue', 40), labels: {os: 'debian-13', kernel: '6.12.41+deb13-amd64'}};
    bytes += JSON.stringify(data).length;
    await spool.push({subject: 'mailherd.report.be01', id: `be01-1-${at}`, data});
  }
  expect(bytes / day).toBeGreaterThan(3_000);
  expect({count: spool.count, dropped: spool.dropped}).toEqual({count: day, dropped: 0});
}, 60_000);

test('what a crash cut off is dropped and counted once, the ones before stay', async () => {
  await fill(open(), 1, 2);
  appendFileSync(join(folder, FIRST), readFileSync(join(folder, FIRST)).subarray(0, 60));
  const after = await reopen();
  expect({count: after.count, dropped: after.dropped}).toEqual({count: 2, dropped: 1});
  await after.push(parcel(3));
  const later = await reopen();
  expect(later.dropped).toBe(1);
  expect(await drain(later)).toEqual([3, 2, 1]);
});

test('whatever is overwritten, cut off or put in: no crash, the rest comes out in order, and what is lost is counted', async () => {
  const damage = fc.record({
    at: fc.double({min: 0, max: 1, noNaN: true, maxExcluded: true}),
    put: fc.uint8Array({minLength: 1, maxLength: 200}),
    kind: fc.constantFrom('over', 'cut', 'in'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, {minLength: 1, maxLength: 3}), async damages => {
      rmSync(folder, {recursive: true});
      await fill(open(), 1, 12);
      const path = join(folder, FIRST);
      let content = readFileSync(path);
      const before = content;
      for (const {at, put, kind} of damages) {
        const where = Math.floor(at * content.length);
        const head = content.subarray(0, where);
        if (kind === 'cut') content = Buffer.from(head);
        else content = Buffer.concat([head, put, content.subarray(kind === 'in' ? where : where + put.length)]);
      }
      writeFileSync(path, content);
      const spool = await reopen();
      const {count, dropped} = spool;
      const order = await drain(spool);
      expect(order).toHaveLength(count);
      expect(order).toEqual([...new Set(order)].sort((a, b) => b - a));
      expect(order.every(at => at >= 1 && at <= 12)).toBe(true);
      // A cut between two messages leaves no trace; any other damage does.
      const isSeen = content.length >= before.length && !content.equals(before);
      if (isSeen) expect(dropped).toBeGreaterThan(0);
      for (const each of opened.splice(0)) await each.close();
    }),
    {numRuns: 60},
  );
}, 60_000);

test('a segment that cannot be read is passed over, with a reason', async () => {
  mkdirSync(join(folder, FIRST));
  const spool = await reopen();
  expect(spool.unreadable).toMatch(/EISDIR/);
  await fill(spool, 1, 3);
  expect(await drain(spool)).toEqual([3, 2, 1]);
});

test('a full disk refuses the message, loses nothing of before, and takes the next once there is room', async () => {
  const spool = open();
  await fill(spool, 1, 2, 20_000);
  symlinkSync('/dev/full', join(folder, '000000000002'));
  for (let again = 0; again < 2; again++) await expect(spool.push(parcel(3, 40_000))).rejects.toThrow('ENOSPC');
  expect(spool.count).toBe(2);
  expect((await spool.newest())?.id).toBe('be01-1-2');
  await spool.push(parcel(4));
  expect(spool.dropped).toBe(0);
  expect(await drain(await reopen())).toEqual([4, 2, 1]);
});

test('a folder that cannot be made refuses each call and is tried again', async () => {
  const path = join(folder, 'taken');
  writeFileSync(path, '');
  const spool = new Spool(path, 1_000_000);
  opened.push(spool);
  await expect(spool.push(parcel(1))).rejects.toThrow('EEXIST');
  expect(spool.isLoaded).toBe(false);
  rmSync(path);
  await spool.push(parcel(1));
  expect(spool.count).toBe(1);
});
