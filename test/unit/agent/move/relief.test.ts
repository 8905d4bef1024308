import {DatabaseSync} from 'node:sqlite';
import {describe, expect, test} from 'vitest';
import {parseNextHop, sortQueue, unprepared} from '../../../../agent/move/relief.ts';
import {RELIEF_RELAY, RELIEF_STATUS, RELIEF_TRANSPORT} from '../../../../wire/route-queries.ts';
import {ROUTES_DB_SCHEMA} from '../../../../wire/routes-db.ts';

const message = (...addresses: string[]): string[] => addresses;

test('what of a queue can leave: for users elsewhere, and for the outside; unknown names of the own domain stay', () => {
  const homes: Record<string, string> = {'here@x': 'be1', 'away@x': 'be2'};
  const sorted = sortQueue(
    [
      message('here@x'),
      message('Away@X', 'here@x'),
      message('ada@far.example', 'away@x'),
      message('nobody@x'),
      message('b"<q@far.example'),
    ],
    'be1',
    user => homes[user] ?? null,
    domain => domain === 'x',
  );
  expect(sorted).toEqual({queued: 5, elsewhere: 2, outgoing: 2, sample: ['ada@far.example']});
});

test('Postfix is prepared when each parameter names its map', () => {
  const lines = [
    'transport_maps = texthash:/etc/postfix/transport, proxy:sqlite:/etc/postfix/relief-transport.cf',
    'sender_dependent_relayhost_maps = proxy:sqlite:/etc/postfix/relief-relay.cf',
    'default_delivery_status_filter = ',
  ];
  expect(unprepared(lines.join('\n'))).toEqual(['default_delivery_status_filter']);
  expect(unprepared('')).toHaveLength(3);
});

test.each([
  ['[10.0.0.5]:25', {address: '10.0.0.5', port: 25}],
  ['[::1]:2525', {address: '::1', port: 2525}],
  ['relay.example', null],
  ['[10.0.0.5]:25 x', null],
])('next hop %s', (text, hop) => expect(parseNextHop(text)).toEqual(hop));

describe('the maps, as SQLite inside Postfix runs them', () => {
  const opened = (nextHop: string, untilSeconds: number): DatabaseSync => {
    const db = new DatabaseSync(':memory:');
    db.exec(ROUTES_DB_SCHEMA);
    db.exec(`INSERT INTO self (name) VALUES ('be1')`);
    db.exec(`INSERT INTO hosts VALUES ('be1', '10.0.0.1'), ('be2', '10.0.0.2')`);
    db.exec(`INSERT INTO routes (user, host, generation) VALUES ('here@x', 'be1', 1), ('away@x', 'be2', 1), ('lost@x', 'be9', 1)`);
    db.prepare('INSERT INTO relief (next_hop, since, until, by) VALUES (?, 0, ?, ?)').run(nextHop, untilSeconds, 'ada');
    return db;
  };
  const ask = (db: DatabaseSync, query: string, key: string): unknown =>
    Object.values(db.prepare(query.replaceAll('%s', key)).get() ?? {})[0];
  const FUTURE = Date.now() / 1_000 + 600;

  test('say where mail goes while the relief lasts', () => {
    const db = opened('[10.0.0.9]:25', FUTURE);
    expect(ask(db, RELIEF_TRANSPORT, 'away@x')).toBe('lmtp:[10.0.0.2]:24');
    for (const user of ['here@x', 'lost@x', 'ada@far.example', 'x', '*']) expect(ask(db, RELIEF_TRANSPORT, user)).toBeUndefined();
    expect(ask(db, RELIEF_RELAY, 'ada@x')).toBe('[10.0.0.9]:25');
    expect(ask(db, RELIEF_STATUS, '5.7.1 no relay')).toBe('4.7.1 no relay');
    for (const status of ['2.0.0 ok', '4.4.1 later']) expect(ask(db, RELIEF_STATUS, status)).toBeUndefined();
  });

  test('without a relay only mail for users elsewhere has another way', () => {
    const db = opened('', FUTURE);
    expect(ask(db, RELIEF_TRANSPORT, 'away@x')).toBe('lmtp:[10.0.0.2]:24');
    expect(ask(db, RELIEF_RELAY, 'ada@x')).toBeUndefined();
  });

  test('fall silent by the clock; deliveries that go on are returned no mail', () => {
    const over = (secondsAgo: number): DatabaseSync => opened('[10.0.0.9]:25', Date.now() / 1_000 - secondsAgo);
    expect(ask(over(1), RELIEF_TRANSPORT, 'away@x')).toBeUndefined();
    expect(ask(over(1), RELIEF_RELAY, 'ada@x')).toBeUndefined();
    expect(ask(over(1), RELIEF_STATUS, '5.7.1 no relay')).toBe('4.7.1 no relay');
    expect(ask(over(601), RELIEF_STATUS, '5.7.1 no relay')).toBe('4.7.1 no relay');
    expect(ask(over(901), RELIEF_STATUS, '5.7.1 no relay')).toBeUndefined();
  });
});
