import {expect, test} from 'vitest';
import {MailTally} from '../../../../agent/sample/tally.ts';

const delivered = (user: string, delayMs: number) => ({kind: 'delivered', user, delayMs, delaysMs: null, relay: 'x'}) as const;
const login = (user: string, session: string) => ({kind: 'login', user, session}) as const;
const ended = (user: string, session: string, orderly = true) => ({kind: 'ended', user, session, orderly, reason: 'x'}) as const;

test('users are counted once, whether by delivery, login or an open session', () => {
  const tally = new MailTally();
  for (const event of [delivered('a', 5), delivered('a', 7), login('a', 's1'), login('a', 's2'), login('b', 's3')]) tally.add(event);
  expect(tally.take()).toEqual({deliveryMs: [5, 7], deliveries: 2, logins: 3, sessions: 3, sessionsOpen: 3, dropped: 0, activeUsers: 2});
  expect(tally.take()).toEqual({deliveryMs: [], deliveries: 0, logins: 0, sessions: 3, sessionsOpen: 3, dropped: 0, activeUsers: 2});
});

test('a session that ends counts in its last interval, dropped or not', () => {
  const tally = new MailTally();
  tally.add(login('a', 's1'));
  tally.add(login('b', 's2'));
  tally.take();
  tally.add(ended('a', 's1', false));
  tally.add(ended('c', 'never seen'));
  tally.add({kind: 'refused', user: 'd', reason: 'x'});
  expect(tally.take()).toMatchObject({sessions: 4, sessionsOpen: 1, dropped: 2, activeUsers: 4, logins: 0});
});

test('what is read late tells which sessions are open and nothing else', () => {
  const tally = new MailTally([['s0', 'z']]);
  tally.replay(delivered('a', 9));
  tally.replay(login('b', 's1'));
  tally.replay(ended('z', 's0', false));
  expect(tally.openSessions()).toEqual([['s1', 'b']]);
  expect(tally.take()).toEqual({deliveryMs: [], deliveries: 0, logins: 0, sessions: 1, sessionsOpen: 1, dropped: 0, activeUsers: 1});
});
