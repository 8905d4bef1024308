import {expect, test} from 'vitest';
import {HereSample} from '../../../../agent/sample/queue-here.ts';
import type {QueueSample, QueueWalk} from '../../../../native/binding.ts';

const isHere = (recipient: string): boolean => recipient.endsWith('@here.example');
const of = (queue: QueueSample['queue'], ageMs: number | null, recipient = ''): QueueSample => ({queue, ageMs, isWhole: true, recipient});
const here = (ageMs: number): QueueSample => of('deferred', ageMs, 'a@here.example');
const outside = (ageMs: number): QueueSample => of('deferred', ageMs, 'b@outside.example');
/** A walk whose samples are all there is, unless counts say otherwise. */
function walk(samples: QueueSample[], counts: Partial<QueueWalk> = {}): QueueWalk {
  const count = (queue: string): number => samples.filter(sample => sample.queue === queue).length;
  return {incoming: count('incoming'), active: count('active'), deferred: count('deferred'), samples, ...counts} as QueueWalk;
}

test('mail for outside that waits for hours makes this host late with nothing', () => {
  const samples = Array.from({length: 16}, () => outside(7_200_000));
  expect(new HereSample().add(walk(samples, {deferred: 300}), isHere)).toEqual({waiting: 0, ageMsP95: null, ageMsMax: null});
});

test('what waits for mailboxes here counts, and so does all that this host has not even sorted', () => {
  const samples = [
    of('incoming', 90_000),
    of('active', 5_000, 'a@here.example'),
    of('active', 9e6, 'b@outside.example'),
    here(60_000),
    outside(9e6),
  ];
  expect(new HereSample().add(walk(samples), isHere)).toEqual({waiting: 3, ageMsP95: 90_000, ageMsMax: 90_000});
});

test('what its sender still writes is not received', () => {
  const slow = {...of('incoming', 500_000), isWhole: false};
  expect(new HereSample().add(walk([slow, slow, slow, slow, slow, slow]), isHere)).toEqual({waiting: 0, ageMsP95: null, ageMsMax: null});
});

test('samples of a long queue are projected, weighed by what they stand for, over the last walks', () => {
  const sample = new HereSample();
  const ten = [...Array.from({length: 5}, () => outside(1)), ...Array.from({length: 5}, () => here(1_000))];
  const active = [of('active', 800_000, 'a@here.example')];
  const found = sample.add(walk([...ten, ...active], {deferred: 1_000}), isHere);
  // One of 501 is no 95th percentile, though one of six samples.
  expect(found).toEqual({waiting: 501, ageMsP95: 1_000, ageMsMax: 800_000});
  for (let at = 0; at < 5; at++) sample.add(walk(ten.slice(0, 5), {deferred: 1_000}), isHere);
  expect(sample.add(walk(ten.slice(0, 5), {deferred: 1_000}), isHere)?.waiting).toBe(0);
});

test('a queue that empties is as it is now', () => {
  const sample = new HereSample();
  sample.add(walk([here(1e6)], {deferred: 100}), isHere);
  expect(sample.add(walk([outside(1e6)]), isHere)).toEqual({waiting: 0, ageMsP95: null, ageMsMax: null});
  expect(sample.add(walk([]), isHere)).toEqual({waiting: 0, ageMsP95: null, ageMsMax: null});
});

test('what is not known is null, not nothing; a few that vanished meanwhile are left out', () => {
  const unread = Array.from({length: 6}, () => of('deferred', 1e6));
  expect(new HereSample().add(walk(unread), isHere)).toBeNull();
  expect(new HereSample().add(walk([], {deferred: 6}), isHere)).toBeNull();
  expect(new HereSample().add(walk(Array.from({length: 9}, () => here(1))), () => null)).toBeNull();
  expect(new HereSample().add(walk([here(7_000), of('active', 1)]), isHere)).toEqual({waiting: 1, ageMsP95: 7_000, ageMsMax: 7_000});
  expect(new HereSample().add(walk([of('deferred', null, 'a@here.example')]), isHere)).toEqual({
    waiting: 1,
    ageMsP95: null,
    ageMsMax: null,
  });
});
