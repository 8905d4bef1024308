import {appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {Activity} from '../../../../agent/sample/activity.ts';
import {MailLog} from '../../../../agent/sample/maillog.io.ts';
import {DAY_MS} from '../../../../base/units.ts';

let folder: string;
let stop: AbortController;
const onEvent = vi.fn();
let activity: Activity;
const log = {debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn()};

beforeEach(() => {
  onEvent.mockClear();
  activity = new Activity();
  folder = mkdtempSync(join(tmpdir(), 'mailherd-journal-'));
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  rmSync(folder, {recursive: true});
});

const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '');
/** @param agoMs how long before now it was logged, by the clock that nobody sets; a line of later than the start counts as new. */
const entry = (cursor: string, identifier: string, message: unknown, {agoMs = -60_000, setBackMs = 0, bootId = boot} = {}) =>
  JSON.stringify({
    __CURSOR: cursor,
    __REALTIME_TIMESTAMP: String(Math.round((Date.now() - agoMs - setBackMs) * 1000)),
    __MONOTONIC_TIMESTAMP: String(process.hrtime.bigint() / 1_000n - BigInt(Math.round(agoMs * 1000))),
    _BOOT_ID: bootId,
    SYSLOG_IDENTIFIER: identifier,
    MESSAGE: message,
  });
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
    activity,
    isProbe: user => user.endsWith('.invalid'),
    log,
    signal: stop.signal,
    journalctl: [program],
    journalSocket: folder,
  });

test('sums up what the journal says, without probes, without lines it cannot use', async () => {
  const program = reader([
    entry('c0', 'postfix/lmtp', delivery('a@x'), {agoMs: 3_600_000}),
    entry('c1', 'postfix/lmtp', delivery('a@x')),
    entry('c2', 'postfix/lmtp', delivery('probe@be.mailherd.invalid')),
    entry('c3', 'dovecot', login('b@x', 's1')),
    entry('c4', 'dovecot', [255, 254]),
    '{"cut off',
    '[]',
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
  expect(JSON.parse(readFileSync(join(folder, 'position.json'), 'utf8'))).toEqual({
    cursor: 'c3',
    sinceUs: expect.stringMatching(/^\d{16}$/),
    open: [['s1', 'b@x']],
  });
});

test('a clock that is set back hides nothing: by the clock that nobody sets a line is old or new', async () => {
  const hourBack = {setBackMs: 3_600_000};
  const earlier = 'f'.repeat(32);
  const program = reader([
    entry('c1', 'postfix/lmtp', delivery('a@x'), {bootId: earlier, agoMs: DAY_MS}),
    // An earlier boot may have lasted longer than this one.
    entry('c2', 'postfix/lmtp', delivery('a@x'), {bootId: earlier, setBackMs: DAY_MS}),
    entry('c3', 'postfix/lmtp', delivery('a@x'), {agoMs: 1_000, setBackMs: -DAY_MS}),
    entry('c4', 'postfix/lmtp', delivery('b@x'), hourBack),
    entry('c5', 'postfix/lmtp', delivery('c@x'), {...hourBack, bootId: earlier}),
  ]);
  const mailLog = await open(program);
  const seen = {deliveries: 0, users: 0};
  await vi.waitFor(async () => {
    const {deliveries, activeUsers} = await mailLog.take();
    seen.deliveries += deliveries;
    seen.users += activeUsers;
    expect(seen).toEqual({deliveries: 2, users: 2});
  });
});

test('what Dovecot stores and who logs in makes a mailbox busy, also while no agent ran', async () => {
  const stored = (user: string): string => `lmtp(${user})<7><x>: sieve: msgid=<m@x>: stored mail into mailbox 'INBOX'`;
  activity.live(new Set(['a@x', 'alias@x', 'b@x', 'c@x']), Date.now() - 2 * DAY_MS);
  const program = reader([
    entry('c1', 'postfix/lmtp', delivery('a@x')),
    entry('c2', 'dovecot', stored('a@x')),
    entry('c3', 'postfix/lmtp', delivery('alias@x')),
    entry('c4', 'dovecot', stored('b@x'), {agoMs: DAY_MS}),
    entry('c5', 'dovecot', login('b@x', 's1')),
    entry('c6', 'dovecot', stored('probe@be.mailherd.invalid')),
  ]);
  await open(program);
  await vi.waitFor(() => expect(activity.perDay('b@x', Date.now())).toMatchObject({sessions: expect.closeTo(0.625, 1)}));
  const now = activity.perDay('b@x', Date.now());
  expect((now?.deliveries ?? 0) / (now?.sessions ?? 1)).toBeCloseTo(2 ** (-1 / 3), 1);
  // The first line of Postfix came before it was known that Dovecot tells.
  expect(activity.perDay('a@x', Date.now())?.deliveries).toBeCloseTo(2 * (now?.sessions ?? 0), 1);
  expect(activity.perDay('alias@x', Date.now())).toEqual({deliveries: 0, sessions: 0});
  expect(activity.lastMs('probe@be.mailherd.invalid')).toBeNull();
});

test('who makes most of what the host has to do now is told', async () => {
  const storm = Array.from({length: 100}, (_, at) => entry(`c${at}`, 'postfix/lmtp', delivery('storm@x')));
  const dayOld = Array.from({length: 300}, (_, at) => entry(`b${at}`, 'postfix/lmtp', delivery('ada@x'), {agoMs: DAY_MS}));
  const mailLog = await open(reader([...dayOld, ...storm, entry('d', 'postfix/lmtp', delivery('bob@x'))]));
  await vi.waitFor(async () => expect((await mailLog.take()).busiest).toEqual({user: 'storm@x', share: 0.99}));
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

test('a position that the journal does not take is given up for its time, and it is told and counted that lines may be missing', async () => {
  const program = reader([], 'case "$*" in *after-cursor*) echo "Failed to seek to cursor" >&2; exit 1;; *) exec sleep 60;; esac');
  const sinceUs = '1764430000000009';
  writeFileSync(join(folder, 'position.json'), JSON.stringify({cursor: 'c9', sinceUs, open: []}));
  vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
  try {
    const mailLog = await open(program);
    const calls = (): string => readFileSync(join(folder, 'calls'), 'utf8');
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(10_000);
      expect(calls()).toContain('--since=@1764430000.000010');
    }, 10_000);
    await expect(mailLog.take()).rejects.toMatchObject({detail: {reason: expect.stringContaining('lines may be missing')}});
    expect((await mailLog.take()).figures.gaps).toBe(1);
    expect(log.error).toHaveBeenCalledWith(expect.objectContaining({cursor: 'c9'}), expect.stringContaining('does not take the position'));
  } finally {
    vi.useRealTimers();
  }
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
    activity,
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

const LIMIT = 'master: Warning: service(imap): process_limit (3) reached, client connections are being dropped';

test('a limit is an event when it is reached, and stays in the figures until nobody complains', async () => {
  const mailLog = await open(
    reader([entry('c1', 'dovecot', LIMIT), entry('c2', 'dovecot', LIMIT), entry('c3', 'dovecot', login('b@x', 's1'))]),
  );
  await vi.waitFor(async () => {
    const {figures} = await mailLog.take();
    expect(figures.limits).toEqual([{limit: 'dovecotProcesses', service: 'imap', complaints: 2}]);
  });
  expect(onEvent.mock.calls).toEqual([['limitReached', {limit: 'dovecotProcesses', service: 'imap', max: 3, clearAfterMs: 300_000}]]);
  await mailLog.save();
  expect(JSON.parse(readFileSync(join(folder, 'position.json'), 'utf8')).limits).toHaveLength(1);
});

test('a limit that nobody complains of any more is cleared, also after a restart', async () => {
  const lastMs = Date.now() - 400_000;
  const limits = [{limit: 'dovecotProcesses', service: 'imap', max: 3, sinceMs: lastMs - 60_000, lastMs, complaints: 9}];
  writeFileSync(join(folder, 'position.json'), JSON.stringify({cursor: 'c9', open: [], limits}));
  const mailLog = await open(reader([]));
  await vi.waitFor(() => mailLog.take());
  expect(onEvent.mock.calls).toEqual([['limitCleared', {limit: 'dovecotProcesses', service: 'imap', complaints: 9, lastedMs: 60_000}]]);
});

test('files instead of the journal: read, remembered, read on', async () => {
  const paths = ['mail.log', 'dovecot.log'].map(name => join(folder, name)) as [string, string];
  for (const path of paths) writeFileSync(path, 'before\n');
  const follow = () =>
    MailLog.open({
      path: join(folder, 'position.json'),
      files: paths,
      activity,
      onEvent,
      isProbe: () => false,
      log,
      signal: stop.signal,
      pollMs: 2,
    });
  const mailLog = await follow();
  await vi.waitFor(() => mailLog.take());
  appendFileSync(paths[0], `Nov 24 15:21:48 be07 postfix/lmtp[228]: ${delivery('a@x')}\n`);
  appendFileSync(paths[1], `Nov 24 15:21:48 ${login('b@x', 's1').replace('imap-login: ', 'imap-login: Info: ')}\n`);
  const seen = {deliveries: 0, logins: 0};
  await vi.waitFor(async () => {
    const {deliveries, logins, figures} = await mailLog.take();
    seen.deliveries += deliveries;
    seen.logins += logins;
    if (deliveries > 0) expect(figures.deliveries[0]).toMatchObject({transport: 'lmtp', destination: 'other', sent: 1});
    expect(seen).toEqual({deliveries: 1, logins: 1});
  });
  expect(mailLog.online()).toEqual(new Set(['b@x']));
  expect(activity.lastMs('a@x')).not.toBeNull();
  await mailLog.save();
  stop.abort();
  stop = new AbortController();
  appendFileSync(paths[1], `Nov 24 15:21:49 imap(b@x)<1><s1>: Info: Disconnected: Logged out in=1 out=2\n`);
  const again = await follow();
  await vi.waitFor(async () => expect((await again.take()).sessionsOpen).toBe(0));
});

test('a file that cannot be read is a reason', async () => {
  const files = [join(folder, 'nowhere.log')];
  const mailLog = await MailLog.open({
    path: join(folder, 'position.json'),
    files,
    activity,
    onEvent,
    isProbe: () => false,
    log,
    signal: stop.signal,
  });
  await vi.waitFor(() =>
    expect(mailLog.take()).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {reason: expect.stringContaining('ENOENT')}}),
  );
  expect(mailLog.online()).toBeNull();
});
