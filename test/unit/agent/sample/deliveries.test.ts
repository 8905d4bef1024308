import {expect, test} from 'vitest';
import {DeliveryTally} from '../../../../agent/sample/deliveries.ts';
import {DestinationSample, destinationClass} from '../../../../agent/sample/destinations.ts';
import type {MailEvent} from '../../../../agent/sample/maillog.ts';
import {Histogram} from '../../../../base/histogram.ts';

type Attempt = Extract<MailEvent, {kind: 'attempt'}>;
const attempt = (change: Partial<Attempt>): Attempt => ({
  kind: 'attempt',
  program: 'smtp',
  transport: 'smtp',
  user: 'a@some.example',
  relay: null,
  status: 'sent',
  dsn: '2.0.0',
  delayMs: 100,
  delaysMs: [10, 20, 30, 40],
  ...change,
});

test('statuses, codes and the four delays, by transport and class', () => {
  const tally = new DeliveryTally();
  tally.add(attempt({}));
  tally.add(attempt({status: 'deferred', dsn: '4.4.1', delaysMs: null}));
  tally.add(attempt({status: 'deferred', dsn: '4.4.1'}));
  tally.add(attempt({status: 'bounced', dsn: '5.1.1'}));
  tally.add(attempt({status: 'undeliverable', dsn: '5.1.1'}));
  tally.add(attempt({relay: 'aspmx.l.google.com[192.0.2.1]:25'}));
  const [other, google] = tally.take();
  expect(other).toMatchObject({
    transport: 'smtp',
    destination: 'other',
    sent: 1,
    deferred: 2,
    bounced: 1,
    other: 1,
    dsn: {'4.4.1': 2, '5.1.1': 2},
  });
  expect(google).toMatchObject({destination: 'google', sent: 1, dsn: {}});
  const before = new Histogram();
  before.merge(other?.delays.before ?? []);
  expect(before.count).toBe(4);
  expect(before.percentile(0.5)).toBeCloseTo(10_000, -4);
  expect(tally.take()).toEqual([]);
});

test('however many transports there are, few rows are told and nothing is lost', () => {
  const tally = new DeliveryTally();
  for (let at = 0; at < 1_000; at++) tally.add(attempt({transport: `t${at}`}));
  for (let at = 0; at < 1_000; at++) tally.add(attempt({transport: 'busy', dsn: `4.9.${at}`, status: 'deferred'}));
  const rows = tally.take();
  expect(rows.length).toBeLessThanOrEqual(6);
  expect(rows[0]).toMatchObject({transport: 'other', sent: expect.any(Number)});
  expect(rows.reduce((sum, row) => sum + row.sent + row.deferred, 0)).toBe(2_000);
  for (const row of rows) expect(Object.keys(row.dsn).length).toBeLessThanOrEqual(4);
});

test.each([
  ['gmail.com', null, 'google'],
  ['shop.example', 'alt1.aspmx.l.google.com', 'google'],
  ['shop.example', 'shop-example.mail.protection.outlook.com', 'microsoft'],
  ['hotmail.co.uk', null, 'microsoft'],
  ['notgmail.com', null, 'other'],
  ['gmail.com.evil.example', null, 'other'],
  ['gmail.com', 'own-smarthost.example', 'google'],
  ['', null, 'other'],
])('%s by way of %s is %s', (domain, relay, expected) => {
  expect(destinationClass(domain, relay)).toBe(expected);
});

test('a sample of the queue: classes and a few domains, of what was seen last', () => {
  const sample = new DestinationSample();
  expect(sample.figures()).toBeNull();
  sample.add(Array.from({length: 5_000}, (_, at) => `d${at}.example`));
  sample.add(['gmail.com', 'gmail.com', 'gmx.de']);
  const figures = sample.figures();
  expect(figures?.sampled).toBe(512);
  expect(figures?.classes).toEqual({other: 509, google: 2, united: 1});
  expect(Object.keys(figures?.domains ?? {})).toHaveLength(5);
  expect(figures?.domains['gmail.com']).toBe(2);
  sample.clear();
  expect(sample.figures()).toBeNull();
});

test('a busy interval is told in little: three transports, all delays different, refusals', () => {
  const tally = new DeliveryTally();
  for (let at = 0; at < 3_000; at++) {
    const refused = at % 10 === 0;
    tally.add(
      attempt({
        transport: at % 2 === 0 ? 'lmtp' : 'smtp',
        relay: ['mx.google.com', 'x.outlook.com', null][at % 3] ?? null,
        ...(refused ? {status: 'deferred', dsn: `4.7.${at % 4}`} : {}),
        delaysMs: [(at * 7) % 90, (at * 13) % 400, (at * 3) % 1_500, (at * 17) % 20_000],
      }),
    );
  }
  expect(JSON.stringify(tally.take()).length).toBeLessThan(4_096);
});
