import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {copyFileSync, mkdirSync, mkdtempSync, openSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import {endCopies, endSessions} from '../../../../agent/move/sessions.io.ts';
import {systemClock} from '../../../../base/clock.io.ts';

const USER = 'ada@farm.example';
/** No process of Linux has that number: pid_max is at most 2^22. */
const GONE = '4194305';

/** A doveadm server that tells these lists of sessions, one after the other, the last one for ever. */
function serverOf(...told: string[][]): {server: DoveadmServer; asked: string[]} {
  const asked: string[] = [];
  const values = async (_user: null, [command = '']: readonly string[]): Promise<string[]> => {
    asked.push(command);
    return command === 'kick' ? ['1'] : ((told.length > 1 ? told.shift() : told[0]) ?? []);
  };
  return {server: {values} as unknown as DoveadmServer, asked};
}

test('who has no session is not sent away', async () => {
  const {server, asked} = serverOf([]);
  expect(await endSessions(server, USER, 1_000, systemClock)).toBe(0);
  expect(asked).toEqual(['who']);
});

test('those that come after the kick are sent away as well, until a look shows none', async () => {
  const late = '4194306';
  const {server, asked} = serverOf(
    [USER, 'imap', GONE, '10.0.0.1'],
    [USER, 'imap', GONE, '10.0.0.1', '', USER, 'imap', late, '10.0.0.1', ''],
    [],
  );
  expect(await endSessions(server, USER, 1_000, systemClock)).toBe(2);
  expect(asked).toEqual(['who', 'kick', 'who', 'kick', 'who']);
});

test('what Dovecot still tells of a process that is gone is no session', async () => {
  const {server, asked} = serverOf([USER, 'imap', GONE, '10.0.0.1']);
  expect(await endSessions(server, USER, 1_000, systemClock)).toBe(1);
  expect(asked).toEqual(['who', 'kick', 'who']);
});

test('a session that does not end is told, not ended', async () => {
  const {server} = serverOf([USER, 'imap', `${process.pid}`, '10.0.0.1']);
  await expect(endSessions(server, USER, 0, systemClock)).rejects.toMatchObject({code: 'SESSIONS_LINGER', detail: {sessions: 1}});
});

test('what works on a copy to a home is ended, what works elsewhere goes on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mailherd-copies-'));
  const program = join(folder, 'doveadm-server');
  copyFileSync('/bin/sleep', program);
  const working = (home: string): ReturnType<typeof spawn> => {
    mkdirSync(join(folder, home));
    return spawn(program, ['60'], {stdio: ['ignore', openSync(join(folder, home, 'index.log'), 'w'), 'ignore']});
  };
  const [own, other] = [working('ada'), working('ada.b')];
  const ended = once(own, 'exit');
  try {
    await Promise.all([once(own, 'spawn'), once(other, 'spawn')]);
    await endCopies([join(folder, 'nowhere'), join(folder, 'ada')], 5_000, systemClock);
    expect((await ended)[1]).toBe('SIGKILL');
    expect(other.exitCode).toBeNull();
    await endCopies([join(folder, 'nobody')], 0, systemClock);
  } finally {
    for (const child of [own, other]) child.kill('SIGKILL');
    rmSync(folder, {recursive: true});
  }
});
