import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {countPostfixProcesses} from '../../native/binding.ts';

let root: string;
let spool: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mailherd-proc-'));
  spool = join(root, 'spool');
  mkdirSync(join(spool, 'pid'), {recursive: true});
});
afterEach(() => rmSync(root, {recursive: true}));

function process(pid: number, ...words: string[]): void {
  mkdirSync(join(root, 'proc', String(pid)), {recursive: true});
  writeFileSync(join(root, 'proc', String(pid), 'cmdline'), words.map(word => `${word}\0`).join(''));
}

function master(children: number[], name = 'master\n', pidFile = '             40\n'): void {
  mkdirSync(join(root, 'proc/40/task/40'), {recursive: true});
  writeFileSync(join(root, 'proc/40/comm'), name);
  writeFileSync(join(root, 'proc/40/task/40/children'), children.map(pid => `${pid} `).join(''));
  writeFileSync(join(spool, 'pid/master.pid'), pidFile);
}

const count = (most = 1_000) => countPostfixProcesses(spool, most, root);

test('by the entry in master.cf, with those that began under stress', async () => {
  process(50, 'pickup', '-l', '-t', 'unix', '-u', '-c');
  process(51, 'smtpd', '-n', 'smtp', '-t', 'inet', '-u', '-c', '-o', 'stress=');
  process(52, 'smtpd', '-n', 'smtp', '-t', 'inet', '-u', '-c', '-o', 'stress=yes');
  process(53, '/usr/lib/postfix/sbin/smtp', '-t', 'unix', '-u', '-c');
  process(54, 'smtpd', '-n', 'submission', '-t', 'inet', '-o', 'syslog_name=stress=yes');
  process(55);
  master([50, 51, 52, 53, 54, 55, 56]);
  const {services, complete} = await count();
  expect(complete).toBe(true);
  expect(services.sort((a, b) => (a.service < b.service ? -1 : 1))).toEqual([
    {service: 'pickup/unix', processes: 1, stressed: 0},
    {service: 'smtp/inet', processes: 2, stressed: 1},
    {service: 'smtp/unix', processes: 1, stressed: 0},
    {service: 'submission/inet', processes: 1, stressed: 0},
  ]);
});

test('no more than allowed, and it says so', async () => {
  for (let pid = 50; pid < 60; pid++) process(pid, 'smtpd', '-n', 'smtp', '-t', 'inet');
  master([50, 51, 52, 53, 54, 55, 56, 57, 58, 59]);
  expect(await count(4)).toEqual({services: [{service: 'smtp/inet', processes: 4, stressed: 0}], complete: false});
});

test.each([
  ['no pid file', () => undefined, 'ENOENT'],
  ['a pid file without a number', () => master([], 'master\n', 'none\n'), 'EBADMSG'],
  ['an empty pid file', () => master([], 'master\n', ''), 'EBADMSG'],
  ['a number that is nobody', () => master([], 'master\n', '41\n'), 'ESRCH'],
  ['a number that is another by now', () => master([], 'bash\n'), 'ESRCH'],
  ['a number beyond any', () => master([], 'master\n', '18446744073709551615\n'), 'EBADMSG'],
])('%s is a reason, not a Postfix without processes', async (_what, make, code) => {
  make();
  await expect(count()).rejects.toMatchObject({code: 'NATIVE_FAILED', detail: {code}});
});

test('a kernel that does not list children', async () => {
  master([]);
  rmSync(join(root, 'proc/40/task'), {recursive: true});
  await expect(count()).rejects.toMatchObject({detail: {code: 'ENOENT', path: expect.stringContaining('children')}});
});

test('command lines that are none', async () => {
  process(50, '', '', '-n');
  process(51, 'x'.repeat(5_000), '-t');
  mkdirSync(join(root, 'proc/52'));
  writeFileSync(join(root, 'proc/52/cmdline'), Buffer.from([0xff, 0xfe, 0x80]));
  master([50, 51, 52]);
  expect((await count()).services).toHaveLength(3);
});
