import {chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {MailLog} from '../../../../agent/sample/maillog.io.ts';

let folder: string;
let stop: AbortController;
const onEvent = vi.fn();
const log = {debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn()};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-journal-'));
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  rmSync(folder, {recursive: true});
});

const entry = (cursor: string, identifier: string, message: unknown, atMs = Date.now() + 60_000) =>
  JSON.stringify({__CURSOR: cursor, __REALTIME_TIMESTAMP: String(atMs * 1000), SYSLOG_IDENTIFIER: identifier, MESSAGE: message});
const delivery = (user: string) =>
  `4F2A1C0123: to=<${user}>, relay=be[1.2.3.4]:24, delay=0.5, delays=0/0/0/0.5, dsn=2.0.0, status=sent (250 ok)`;
const login = (user: string, session: string) =>
  `imap-login: Logged in: user=<${user}>, method=PLAIN, rip=::1, lip=::1, mpid=1, session=<${session}>`;

/** Stands for journalctl: notes its arguments, prints `lines`, then does `afterwards`. */
function reader(lines: string[], afterwards = 'exec sleep 60'): string {
  const program = join(folder, 'journalctl');
  writeFileSync(join(folder, 'lines'), lines.map(line => `${line}\n`).join(''));
  writeFileSync(program, `#!/bin/sh\necho "$@" >> ${folder}/calls\ncat ${folder}/lines\n${afterwards}\n`);
  chmodSync(program, 0o755);
  return program;
}

const open = (program: string) =>
  MailLog.open({
    path: join(folder, 'position.json'),
    files: [],
    onEvent,
    isProbe: user => user.endsWith('.invalid'),
    log,
    signal: stop.signal,
    journalctl: [program],
    journalSocket: folder,
  });

test('sums up what the journal says, without probes, without lines it cannot use', async () => {
  const program = reader([
    entry('c1', 'postfix/lmtp', delivery('a@x')),
    entry('c2', 'postfix/lmtp', delivery('probe@be.mailherd.invalid')),
    entry('c3', 'dovecot', login('b@x', 's1')),
    entry('c4', 'dovecot', [255, 254]),
    '{"cut off',
    '[]',
    entry('c5', 'postfix/lmtp', delivery('a@x'), Date.now() - 3_600_000),
  ]);
  const mailLog = await open(program);
  const seen = {deliveries: 0, logins: 0};
  await vi.waitFor(async () => {
    const figures = await mailLog.take();
    seen.deliveries += figures.deliveries;
    seen.logins += figures.logins;
    expect(seen).toEqual({deliveries: 1, logins: 1});
    expect(figures.sessionsOpen).toBe(1);
  });
  await mailLog.save();
  expect(JSON.parse(readFileSync(join(folder, 'position.json'), 'utf8'))).toEqual({cursor: 'c5', open: [['s1', 'b@x']]});
});

test('a reader that dies is started again where it was', async () => {
  const program = reader([entry('c7', 'dovecot', login('b@x', 's1'))], 'exit 1');
  const mailLog = await open(program);
  await vi.waitFor(() => expect(readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n').length).toBeGreaterThan(1), {timeout: 5000});
  const calls = readFileSync(join(folder, 'calls'), 'utf8').split('\n');
  expect(calls[0]).toContain('--since=now');
  expect(calls[1]).toContain('--after-cursor=c7');
  await vi.waitFor(() => expect(mailLog.take()).rejects.toMatchObject({code: 'COMMAND_FAILED'}));
});

test('goes on from a saved position, and begins from now when it is spoilt', async () => {
  const program = reader([]);
  writeFileSync(join(folder, 'position.json'), JSON.stringify({cursor: 'c9', open: [['s1', 'a@x']]}));
  const mailLog = await open(program);
  await vi.waitFor(() => expect(readFileSync(join(folder, 'calls'), 'utf8')).toContain('--after-cursor=c9'));
  expect((await mailLog.take()).sessionsOpen).toBe(1);
  writeFileSync(join(folder, 'position.json'), '{"cursor": 3}');
  await open(program);
  await vi.waitFor(() => expect(readFileSync(join(folder, 'calls'), 'utf8')).toContain('--since=now'));
  expect(log.warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('spoilt'));
});

test('without a journal the figures are refused with the reason', async () => {
  const mailLog = await open(join(folder, 'no-such-program'));
  await vi.waitFor(() =>
    expect(mailLog.take()).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {reason: expect.stringContaining('ENOENT')}}),
  );
});

test('a host without journald is not a quiet host', async () => {
  const program = reader([]);
  const options = {
    path: join(folder, 'position.json'),
    files: [],
    onEvent,
    isProbe: () => false,
    log,
    signal: stop.signal,
    journalctl: [program],
  };
  const mailLog = await MailLog.open({...options, journalSocket: join(folder, 'no-socket')});
  await expect(mailLog.take()).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    detail: {reason: expect.stringContaining('journald does not run')},
  });
});
