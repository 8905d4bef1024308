import {appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Spool} from '../../../../agent/report/spool.io.ts';

let folder: string;
const opened: Spool[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-spool-'));
});
afterEach(async () => {
  for (const spool of opened.splice(0)) await spool.close();
  rmSync(folder, {recursive: true});
});

async function open(bytesMax: number): Promise<Spool> {
  const spool = await Spool.open(folder, bytesMax);
  opened.push(spool);
  return spool;
}

const parcel = (at: number, text = 'x'.repeat(50)) => ({subject: 'mailherd.report.be01', id: `be01-1-${at}`, data: {at, text}});

async function drain(spool: Spool): Promise<number[]> {
  const order: number[] = [];
  for (let next = await spool.newest(); next !== null; next = await spool.newest()) {
    order.push((next.data as {at: number}).at);
    await spool.removeNewest();
  }
  return order;
}

test('the newest comes out first, and is there until it is removed', async () => {
  const spool = await open(100_000);
  for (let at = 1; at <= 5; at++) await spool.push(parcel(at));
  expect(await spool.newest()).toEqual(parcel(5));
  expect(await spool.newest()).toEqual(parcel(5));
  await spool.removeNewest();
  await spool.push(parcel(6));
  expect(spool.count).toBe(5);
  expect(await drain(spool)).toEqual([6, 4, 3, 2, 1]);
  expect(await spool.newest()).toBeNull();
});

test('it survives the process', async () => {
  const first = await open(2_000);
  for (let at = 1; at <= 12; at++) await first.push(parcel(at));
  await opened.pop()?.close();
  const second = await open(2_000);
  expect(second.count).toBe(12);
  await second.push(parcel(13));
  expect(await drain(second)).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
});

test('it never grows beyond its bound; the oldest half goes and is counted', async () => {
  const bytesMax = 4_000;
  const spool = await open(bytesMax);
  for (let at = 1; at <= 500; at++) {
    await spool.push(parcel(at, 'y'.repeat(at % 90)));
    expect(statSync(join(folder, 'spool.new')).size + statSync(join(folder, 'spool.old')).size).toBeLessThanOrEqual(bytesMax);
  }
  expect(spool.count + spool.dropped).toBe(500);
  expect(spool.count).toBeGreaterThan(15);
  const order = await drain(spool);
  expect(order).toEqual(Array.from({length: order.length}, (_, at) => 500 - at));
  await spool.push(parcel(501, 'z'.repeat(5_000)));
  expect(spool.count).toBe(0);
});

test('a line that a crash cut off is dropped, the ones before stay', async () => {
  const spool = await open(100_000);
  await spool.push(parcel(1));
  await opened.pop()?.close();
  appendFileSync(join(folder, 'spool.new'), '{"subject":"mailherd.rep');
  const after = await open(100_000);
  expect(after.count).toBe(1);
  await after.push(parcel(2));
  expect(await drain(after)).toEqual([2, 1]);
  expect(readFileSync(join(folder, 'spool.new'), 'utf8')).toBe('');
});

test('spoilt lines are counted as lost and passed over', async () => {
  writeFileSync(join(folder, 'spool.new'), `${JSON.stringify(parcel(1))}\n\0\0\0\n{"id":3}\n`);
  const spool = await open(100_000);
  expect(spool.count).toBe(3);
  expect(await drain(spool)).toEqual([1]);
  expect(spool.dropped).toBe(2);
});
