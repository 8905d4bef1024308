import {expect, it} from 'vitest';
import {felt, quantile} from '../../../../farm/mail/felt.ts';
import type {LedgerEntry} from '../../../../farm/mail/ledger.ts';

const options = {bucketMs: 10_000, lateMs: 5_000, users: 4};

it('takes the delay from what a waiting mail program saw, and gives no figure where none waited', () => {
  const entries: LedgerEntry[] = [
    {kind: 'accepted', atMs: 10_000, user: 'a', messageId: '<1>'},
    {kind: 'seen', atMs: 17_000, user: 'a', messageId: '<1>'},
    {kind: 'accepted', atMs: 21_000, user: 'b', messageId: '<2>'},
  ];
  const line = felt(entries, [{user: 'b', messageId: '<2>', arrivedAtMs: 22_000}], options);
  expect(line.map(each => [each.fromMs, each.accepted, each.delayMsMax, each.hurtShare])).toEqual([
    [10_000, 1, 7_000, 0.25],
    [20_000, 1, null, 0],
  ]);
});

it('counts a user once however much is wrong, and not for an orderly end', () => {
  const entries: LedgerEntry[] = [
    {kind: 'loginFailed', atMs: 1, user: 'a', tookMs: 1, reason: ''},
    {kind: 'dropped', atMs: 2, user: 'a', isOrderly: false, reason: ''},
    {kind: 'dropped', atMs: 3, user: 'b', isOrderly: true, reason: 'BYE'},
  ];
  expect(felt(entries, [], options)).toMatchObject([{loginErrors: 1, dropped: 2, droppedOrderly: 1, hurtShare: 0.25}]);
});

it('gives the empty spans between two events too', () => {
  const entries: LedgerEntry[] = [5_000, 35_000].map(atMs => ({kind: 'login', atMs, user: 'a', tookMs: 1}));
  expect(felt(entries, [], options).map(each => each.logins)).toEqual([1, 0, 0, 1]);
});

it('is late by the mailbox too when nobody waited for the mail', () => {
  const entries: LedgerEntry[] = [{kind: 'accepted', atMs: 1_000, user: 'a', messageId: '<1>'}];
  expect(felt(entries, [{user: 'a', messageId: '<1>', arrivedAtMs: 9_000}], options)[0]?.hurtShare).toBe(0.25);
});

it('ranks', () => {
  expect([quantile([], 0.5), quantile([3, 1, 2], 0.5), quantile([1, 2, 3, 4], 0.95), quantile([5], 0.01)]).toEqual([null, 2, 4, 5]);
});
