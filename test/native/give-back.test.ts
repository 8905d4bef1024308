import {execFile} from 'node:child_process';
import {createHash} from 'node:crypto';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';

/** What is in memory of the runtime's file before and after, in KiB, and that what was given back is there again when it is needed. */
const CODE = `
import {readFileSync, readlinkSync} from 'node:fs';
import {giveBackMemory} from ${JSON.stringify(join(import.meta.dirname, '../../native/binding.ts'))};
const own = readlinkSync('/proc/self/exe');
const resident = rights => readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  .filter(one => one.split('\\n')[0].endsWith(own) && rights.test(one)).reduce((sum, one) => sum + Number(/^Rss:\\s+(\\d+)/m.exec(one)[1]), 0);
giveBackMemory();
await import('node:http2');
const before = [resident(/ r[-x]/), resident(/ rw/)];
const bytes = giveBackMemory();
const after = [resident(/ r[-x]/), resident(/ rw/)];
const {createHash} = await import('node:crypto');
console.log(JSON.stringify({before, after, bytes, digest: createHash('sha256').update('x'.repeat(1e6)).digest('hex')}));`;

const DIGEST = createHash('sha256').update('x'.repeat(1e6)).digest('hex');

async function run(...flags: string[]): Promise<{before: [number, number]; after: [number, number]; bytes: number; digest: string}> {
  const {stdout} = await promisify(execFile)(process.execPath, [...flags, '--input-type=module', '-e', CODE], {timeout: 20_000});
  return JSON.parse(stdout);
}

test('code and constants of the runtime go from memory and come back; what is written to stays', async () => {
  const {before, after, bytes, digest} = await run();
  expect(bytes).toBeGreaterThan(32 * 1024 * 1024);
  expect(after[0]).toBeLessThan(before[0] - 2 * 1024);
  expect(after[1]).toBeGreaterThanOrEqual(before[1]);
  expect(digest).toBe(DIGEST);
}, 30_000);

test('code that is not simply that of a file is left alone: in large pages it would be lost', async () => {
  const {digest} = await run('--use-largepages=on');
  expect(digest).toBe(DIGEST);
}, 30_000);
