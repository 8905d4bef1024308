import {expect, test} from 'vitest';
import {MailTally} from '../../../../agent/sample/tally.ts';

const ATTEMPT = {kind: 'attempt', program: 'lmtp', transport: 'lmtp', status: 'sent', dsn: '2.0.0', delaysMs: null, relay: 'x'} as const;
const delivered = (user: string, delayMs: number) => ({...ATTEMPT, user, delayMs}) as const;
const login = (user: string, session: string) => ({kind: 'login', user, session}) as const;
const ended = (user: string, session: string, orderly = true) =>
  ({kind: 'ended', user, session, how: orderly ? 'closed' : 'reset', orderly, reason: 'x'}) as const;

test('users are counted once, whether by delivery, login or an open session', () => {
  const tally = new MailTally();
  for (const event of [delivered('a', 5), delivered('a', 7), login('a', 's1'), login('a', 's2'), login('b', 's3')]) tally.add(event);
  expect(tally.take()).toMatchObject({
    deliveryMs: [5, 7],
    deliveries: 2,
    logins: 3,
    sessions: 3,
    sessionsOpen: 3,
    dropped: 0,
    activeUsers: 2,
  });
  expect(tally.take()).toMatchObject({deliveryMs: [], deliveries: 0, logins: 0, sessions: 3, sessionsOpen: 3, dropped: 0, activeUsers: 2});
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
  expect(tally.take()).toMatchObject({deliveryMs: [], deliveries: 0, logins: 0, sessions: 1, sessionsOpen: 1, dropped: 0, activeUsers: 1});
});

test('only what LMTP took is a delivery; the rest are attempts', () => {
  const tally = new MailTally();
  tally.add({...ATTEMPT, user: 'a@x', delayMs: 5, status: 'deferred', dsn: '4.3.0'});
  tally.add({...ATTEMPT, user: 'b@x', delayMs: 5, program: 'smtp', transport: 'smtp'});
  const {deliveries, activeUsers, attempts} = tally.take();
  expect({deliveries, activeUsers}).toEqual({deliveries: 0, activeUsers: 0});
  expect(attempts.map(({transport, sent, deferred}) => [transport, sent, deferred])).toEqual([
    ['lmtp', 0, 1],
    ['smtp', 1, 0],
  ]);
});

test('ends by how, and a wrong password is nobody', () => {
  const tally = new MailTally();
  tally.add(login('a', 's1'));
  tally.add(ended('a', 's1', false));
  tally.add(ended('a', 's2'));
  tally.add({kind: 'refused', user: 'b', reason: 'x'});
  tally.add({kind: 'rejected', user: 'nobody'});
  tally.add({kind: 'screened', outcome: 'pregreet'});
  tally.add({kind: 'limit', limit: 'dovecotProcesses', service: 'imap', max: 3});
  expect(tally.take()).toMatchObject({
    ends: {reset: 1, closed: 1, refused: 1, authFailed: 1},
    screened: {pregreet: 1},
    activeUsers: 2,
    dropped: 2,
    sessions: 3,
  });
  expect(tally.take()).toMatchObject({ends: {}, screened: {}, attempts: []});
});
