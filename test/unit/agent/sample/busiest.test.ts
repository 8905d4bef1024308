import {expect, test} from 'vitest';
import {Busiest} from '../../../../agent/sample/busiest.ts';
import {MINUTE_MS, SECOND_MS} from '../../../../base/units.ts';

/** A host with 200 users who get one mail a second together. */
function usual(busiest: Busiest, fromMs: number, toMs: number): void {
  for (let second = fromMs / SECOND_MS; second * SECOND_MS < toMs; second++)
    busiest.add(`u${second % 200}@a.example`, 'deliveries', second * SECOND_MS);
}

test('nobody stands out where many have little, nor on a host that rests', () => {
  const busy = new Busiest();
  usual(busy, 0, 10 * MINUTE_MS);
  expect(busy.take(10 * MINUTE_MS)).toBeNull();
  const resting = new Busiest();
  for (let at = 0; at < 59; at++) resting.add('ada@a.example', 'deliveries', 0);
  expect(resting.take(0)).toBeNull();
  resting.add('ada@a.example', 'deliveries', 0);
  expect(resting.take(0)).toEqual({user: 'ada@a.example', share: 1});
});

test('a storm for one user shows within a minute, and is forgotten when it is over', () => {
  const busiest = new Busiest();
  const [from, to] = [10 * MINUTE_MS, 11 * MINUTE_MS];
  usual(busiest, 0, to);
  for (let at = from; at < to; at += 100) busiest.add('storm@a.example', 'deliveries', at);
  expect(busiest.take(to)).toMatchObject({user: 'storm@a.example'});
  expect(busiest.take(to)?.share).toBeGreaterThan(0.65);
  usual(busiest, to, 40 * MINUTE_MS);
  expect(busiest.take(40 * MINUTE_MS)).toBeNull();
});

test('a session counts as half of a delivery, and a clock that was set back makes nobody busier', () => {
  const busiest = new Busiest();
  for (let at = 0; at < 100; at++) {
    busiest.add('reader@a.example', 'sessions', MINUTE_MS);
    busiest.add('ada@a.example', 'deliveries', MINUTE_MS);
  }
  expect(busiest.take(MINUTE_MS)).toEqual({user: 'ada@a.example', share: 0.667});
  expect(busiest.take(0)).toEqual({user: 'ada@a.example', share: 0.667});
});

test('a name that is none of a user is not told, as a report with it would be refused', () => {
  const busiest = new Busiest();
  for (let at = 0; at < 100; at++) busiest.add('-Odd Name', 'deliveries', 0);
  expect(busiest.take(0)).toBeNull();
});

test('who does one thing only takes no room for ever', () => {
  const busiest = new Busiest();
  for (let at = 0; at < 50_000; at++) busiest.add(`u${at}@a.example`, 'deliveries', at * SECOND_MS);
  for (let at = 0; at < 600; at++) busiest.add('storm@a.example', 'deliveries', 50_000 * SECOND_MS);
  expect(busiest.take(50_000 * SECOND_MS)?.user).toBe('storm@a.example');
});
