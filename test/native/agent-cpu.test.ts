import {execFile} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {CpuUse, ownGroup} from '../../agent/report/cpu.io.ts';
import {notifySystemd} from '../../native/binding.ts';

const GROUP = 'system.slice/mailherd-agent.service';
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mailherd-cpu-'));
  mkdirSync(join(root, 'proc/self'), {recursive: true});
  mkdirSync(join(root, 'sys/fs/cgroup/unified', GROUP), {recursive: true});
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, {recursive: true});
});

const used = (us: number): void =>
  writeFileSync(join(root, 'sys/fs/cgroup/unified', GROUP, 'cpu.stat'), `usage_usec ${us}\nuser_usec 1\nsystem_usec 2\n`);

test('a service costs what all of its processes cost, those too that have ended', async () => {
  writeFileSync(join(root, 'proc/self/cgroup'), `1:cpu:/\n0::/${GROUP}\n`);
  used(1_000_000);
  const group = ownGroup('an invocation', root);
  expect(group).toBe(`unified/${GROUP}`);
  const own = vi.spyOn(process, 'cpuUsage').mockReturnValue({user: 5_000, system: 2_000});
  const cpu = new CpuUse(group, root);
  // Nobody knows what the group had cost when this process began.
  expect(await cpu.take()).toBe(7);
  used(1_034_500);
  expect(await cpu.take()).toBe(34.5);
  expect(own).toHaveBeenCalled();
});

test('outside a service, and where its group says nothing, only its own threads are counted', async () => {
  vi.spyOn(process, 'cpuUsage').mockReturnValue({user: 5_000, system: 2_000});
  writeFileSync(join(root, 'proc/self/cgroup'), '0::/user.slice/user-0.slice/session-1.scope\n');
  used(1);
  expect(ownGroup('an invocation', root)).toBeNull();
  writeFileSync(join(root, 'proc/self/cgroup'), `0::/${GROUP}\n`);
  expect(ownGroup(undefined, root)).toBeNull();
  expect(ownGroup('an invocation', root)).not.toBeNull();
  for (const group of [null, 'system.slice/gone.service']) {
    const cpu = new CpuUse(group, root);
    expect(await cpu.take()).toBe(7);
    expect(await cpu.take()).toBe(7);
  }
});

const TAKER = `
import os, socket
taker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = os.environ['NAME']
taker.bind('\\0' + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
print(taker.recv(100).decode(), flush=True)`;

test.each(['a path', 'an abstract name'])('systemd is told a state at %s', async kind => {
  const name = kind === 'a path' ? join(root, 'notify') : `@mailherd-${process.pid}`;
  const running = promisify(execFile)('python3', ['-c', TAKER], {env: {...process.env, NAME: name}, timeout: 20_000});
  await new Promise(resolve => running.child.stdout?.once('data', resolve));
  notifySystemd(name, 'READY=1');
  expect((await running).stdout).toBe('bound\nREADY=1\n');
});

test('nobody who listens is an error, and so is a name that is too long', () => {
  const detail = (socket: string): unknown => {
    try {
      return notifySystemd(socket, 'READY=1');
    } catch (error) {
      return error;
    }
  };
  expect(detail(join(root, 'nobody'))).toMatchObject({code: 'NATIVE_FAILED', detail: {code: 'ENOENT', op: 'sendto'}});
  expect(detail(`/${'x'.repeat(200)}`)).toMatchObject({detail: {code: 'EINVAL'}});
  expect(detail('')).toMatchObject({detail: {code: 'EINVAL'}});
});
