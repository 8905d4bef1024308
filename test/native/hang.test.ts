import {execFile, execFileSync} from 'node:child_process';
import {closeSync, existsSync, mkdtempSync, openSync, rmSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Collector} from '../../agent/sample/collect.io.ts';
import {HostSource} from '../../agent/sample/host.io.ts';
import {StoreReader} from '../../native/binding.ts';
import {KernelReader} from '../../native/kernel.ts';

/** A FUSE file system whose server never answers: who asks it anything hangs in the kernel until it is taken away. */
const run = promisify(execFile);
const mayMount = process.getuid?.() === 0 && existsSync('/dev/fuse');
let folder: string;
let server: number | null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-hang-'));
  server = null;
});
afterEach(() => {
  release();
  execFileSync('umount', ['-l', folder]);
  rmSync(folder, {recursive: true});
});

function hang(): void {
  server = openSync('/dev/fuse', 'r+');
  const options = `fd=3,rootmode=40000,user_id=0,group_id=0`;
  execFileSync('mount', ['-i', '-t', 'fuse', '-o', options, 'mailherd-hang', folder], {stdio: ['ignore', 'ignore', 'inherit', server]});
}

/** The server dies: those who hang are sent away with an error. */
function release(): void {
  if (server !== null) closeSync(server);
  server = null;
}

test.runIf(mayMount)('a mount that hangs costs its collector and nothing else, and comes back', async () => {
  hang();
  const reader = new StoreReader(folder);
  const collector = new Collector('store', 100, () => reader.read());
  expect(await collector.collect()).toMatchObject({ok: false, reason: 'no answer within 100 ms'});
  expect(await collector.collect()).toMatchObject({ok: false, reason: expect.stringMatching(/^hangs since/)});
  // More than libuv has threads for files and names: those go on.
  const stuck = Array.from({length: 12}, () => new StoreReader(folder).read());
  expect(await readFile('/proc/self/stat', 'utf8')).toContain(String(process.pid));
  const {parts} = await new KernelReader([{set: 'host', subject: null}]).read();
  expect(parts[0]?.get('cpus')).toBeGreaterThan(0n);
  release();
  const ends = await Promise.allSettled(stuck);
  expect(ends.map(({status}) => status)).toEqual(ends.map(() => 'rejected'));
  // The hung call has ended too: the next one is made, and fails for what is true now.
  await expect
    .poll(async () => (await collector.collect()) as {reason?: string})
    .toMatchObject({reason: expect.stringContaining('ENOTCONN')});
});

test.runIf(mayMount)(
  'a host whose store hangs is sampled all the same: its store is stale with a reason, the kernel is not',
  async () => {
    hang();
    const host = new HostSource({store: folder, spool: join(folder, 'spool'), intervalMs: 1_000});
    const {kernel, store, queue, system, failing} = await host.sample(true);
    expect(store).toBeNull();
    expect(queue).toBeNull();
    expect(kernel?.memoryTotalBytes).toBeGreaterThan(0);
    expect(system.listeners).toBeDefined();
    expect(system.queueFileSystem).toBeUndefined();
    expect(failing).toMatchObject({store: expect.stringContaining('no answer'), queueFileSystem: expect.stringContaining('no answer')});
  },
  20_000,
);

test.runIf(mayMount)(
  'a process with hung readers still ends when it is told to',
  async () => {
    hang();
    const code = `
    import {StoreReader} from ${JSON.stringify(join(import.meta.dirname, '../../native/binding.ts'))};
    for (let i = 0; i < 6; i++) void new StoreReader(${JSON.stringify(folder)}).read();
    setTimeout(() => process.exit(7), 200);`;
    await expect(run(process.execPath, ['--input-type=module', '-e', code], {timeout: 20_000})).rejects.toMatchObject({
      code: 7,
      killed: false,
    });
  },
  30_000,
);
