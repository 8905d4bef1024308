import {execFile} from 'node:child_process';
import {availableParallelism} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';

/** The main thread is held on one processor after the other; what is printed is whether another one is held there too, after some samples. */
const CODE = `
import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {KernelReader} from ${JSON.stringify(join(import.meta.dirname, '../../native/kernel.ts'))};
const allowed = task => /^Cpus_allowed_list:\\t(.*)$/m.exec(readFileSync('/proc/self/task/' + task + '/status', 'utf8'))[1];
const reader = new KernelReader([{set: 'host', subject: null}]);
const all = allowed(process.pid);
const [first, last] = [all.match(/^\\d+/)[0], all.match(/\\d+$/)[0]];
const seen = [];
for (const cpu of [first, last]) {
  execFileSync('taskset', ['-cp', cpu, String(process.pid)]);
  for (let i = 0; i < 3; i++) await reader.read();
  seen.push(readdirSync('/proc/self/task').some(task => task !== String(process.pid) && allowed(task) === cpu));
}
console.log(JSON.stringify(seen));`;

test.runIf(availableParallelism() > 1)(
  'what is read in every interval is read where its caller runs: a thread follows it',
  async () => {
    const {stdout} = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', CODE], {timeout: 20_000});
    expect(JSON.parse(stdout)).toEqual([true, true]);
  },
  30_000,
);
