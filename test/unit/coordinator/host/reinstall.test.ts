import {mkdtempSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {newHost} from '../../../../coordinator/host/life.ts';
import {type ReinstallOrder, reinstall} from '../../../../coordinator/host/reinstall.io.ts';
import type {Log} from '../../../../wire/log.ts';
import {silentLog} from '../fakes.ts';

const order: ReinstallOrder = {
  record: {...newHost('be07', 'backend', '10.0.0.7', 'ada', 1), stage: 'reinstalling', wipe: {token: 'be07:secret', expiresAtMs: 9_000}},
  release: 'debian-12',
  token: 'be07:secret',
  nowMs: 8_000,
  timeoutMs: 20_000,
};

function driver(text: string): string[] {
  const path = join(mkdtempSync(join(tmpdir(), 'driver-')), 'driver.sh');
  writeFileSync(path, `#!/bin/sh\n${text}\n`, {mode: 0o755});
  return [path, 'first word'];
}

describe('reinstall driver', () => {
  test('gets host and release as words and the token in its environment; the token is never logged', async () => {
    const lines: object[] = [];
    const log: Log = {...silentLog, info: fields => lines.push(fields)};
    const command = driver('echo "$1/$2/$3/$MAILHERD_WIPE_TOKEN"; [ "$MAILHERD_WIPE_TOKEN" = be07:secret ]');
    await reinstall(command, order, log, new AbortController().signal);
    expect(lines).toEqual([{host: 'be07', release: 'debian-12', line: 'first word/be07/debian-12/(token)'}]);
  });

  test('a token that is expired, missing or of another host starts nothing', async () => {
    const command = driver('exit 0');
    const signal = new AbortController().signal;
    for (const wrong of [{nowMs: 9_000}, {token: 'be08:secret'}, {record: {...order.record, wipe: null}}]) {
      await expect(reinstall(command, {...order, ...wrong}, silentLog, signal)).rejects.toMatchObject({code: 'WIPE_TOKEN'});
    }
    await expect(reinstall(command, {...order, record: {...order.record, stage: 'drained'}}, silentLog, signal)).rejects.toMatchObject({
      code: 'HOST_STATE',
    });
  });

  test('failure carries exit code and the last words; a program that is not there is a failure too', async () => {
    const signal = new AbortController().signal;
    await expect(reinstall(driver('echo no disk >&2; exit 3'), order, silentLog, signal)).rejects.toMatchObject({
      code: 'REINSTALL_FAILED',
      detail: {code: 3, output: 'no disk'},
    });
    await expect(reinstall(['/nonexistent/driver'], order, silentLog, signal)).rejects.toMatchObject({code: 'REINSTALL_FAILED'});
  });

  test('timeout and abort end the whole process group', async () => {
    const command = driver('sleep 600 & wait');
    await expect(reinstall(command, {...order, timeoutMs: 50}, silentLog, new AbortController().signal)).rejects.toMatchObject({
      detail: {reason: 'no end after 50 ms'},
    });
    await expect(reinstall(command, order, silentLog, AbortSignal.abort())).rejects.toMatchObject({detail: {reason: 'stopped'}});
  });
});
