import {afterAll, beforeAll, expect, it} from 'vitest';
import {audit, snapshot} from '../../farm/audit.io.ts';
import {down, up} from '../../farm/farm.io.ts';
import {startFault, stopFaults} from '../../farm/fault/act.io.ts';
import {readLedger} from '../../farm/mail/ledger.io.ts';
import type {LedgerEntry} from '../../farm/mail/ledger.ts';
import {writeRate} from '../../farm/traffic/rate.io.ts';
import {runTraffic} from '../../farm/traffic/run.io.ts';
import {eventually, FARM} from './smoke.ts';

/** Needs root. Traffic goes on while one host behaves as a bad release does; nothing may be lost, and users must feel it. */
const {paths, layout} = FARM;

beforeAll(async () => {
  await down(FARM);
  await up(FARM, {deb: null, isFilled: true});
});

afterAll(() => down(FARM));

const ledger = (): LedgerEntry[] => readLedger(paths.ledger);
const seenMails = (host: string): number => ledger().filter(entry => entry.kind === 'seen' && entry.user.includes(`.${host}@`)).length;
const lateMails = (host: string): LedgerEntry[] => {
  const acceptedAt = new Map(ledger().flatMap(entry => (entry.kind === 'accepted' ? [[entry.messageId, entry.atMs] as const] : [])));
  return ledger().filter(
    entry =>
      entry.kind === 'seen' && entry.user.includes(`.${host}@`) && entry.atMs - (acceptedAt.get(entry.messageId) ?? entry.atMs) > 4_000,
  );
};

it('keeps every promise while a host goes wrong, and shows whom it hurts', async () => {
  await snapshot(FARM);
  const end = new AbortController();
  writeRate(paths, {mailsPerSecond: 6, sessions: 3, watchers: 6});
  const traffic = runTraffic(paths, layout, end.signal);
  try {
    expect(await eventually(30_000, async () => seenMails('t12') > 5 && seenMails('t13') > 5)).toBe(true);
    expect(lateMails('t13')).toEqual([]);

    await startFault(paths, layout, 'bad-release', 't13', '1500');
    expect(await eventually(60_000, async () => lateMails('t13').length > 3)).toBe(true);
    // Stronger than a bad release has it, so as not to wait for chance
    await startFault(paths, layout, 'drop-imap', 't13', '150');
    expect(await eventually(90_000, async () => ledger().some(entry => entry.kind === 'dropped' && entry.user.includes('.t13@')))).toBe(
      true,
    );
    await stopFaults(paths, layout, null, null);
  } finally {
    end.abort();
    await traffic;
  }
  expect(lateMails('t12')).toEqual([]);

  const result = await audit(FARM, 120_000);
  expect(result).toMatchObject({lost: [], duplicated: [], uidsChanged: [], wrongFlags: [], bounced: 0, queuesLeft: {}});
  expect(result.accepted).toBeGreaterThan(30);
  expect(result.appended).toBeGreaterThan(3);
  expect(result.flagged).toBeGreaterThan(3);
  expect(Math.max(...result.felt.map(each => each.hurtShare))).toBeGreaterThan(0);
});
