import {spawn} from 'node:child_process';
import {mkdirSync, openSync} from 'node:fs';
import {MailherdError} from '../../base/errors.ts';
import {changeState, isAlive, markOf, type ProcessMark, readState} from '../machine/state.io.ts';
import type {Paths} from '../paths.ts';

/** Starts `farm <args>` as a process of its own that goes on when this one ends; `down` ends it. Fine when it runs already. */
export async function startHelper(paths: Paths, name: string, args: readonly string[]): Promise<boolean> {
  const running = (await readState(paths)).helpers[name];
  if (running !== undefined && isAlive(running)) return false;
  mkdirSync(paths.run, {recursive: true});
  const output = openSync(`${paths.run}/${name}.log`, 'a');
  const main = new URL('../main.io.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, ...args], {detached: true, stdio: ['ignore', output, output]});
  child.unref();
  const mark = child.pid === undefined ? null : markOf(child.pid);
  if (mark === null) throw new MailherdError('COMMAND_FAILED', {command: name, reason: `it did not start; see ${paths.run}/${name}.log`});
  await changeState(paths, state => {
    state.helpers[name] = mark;
  });
  return true;
}

/** Asks a helper to end and waits until it has. @returns false when it did not run. @throws MailherdError COMMAND_FAILED. */
export async function stopHelper(paths: Paths, name: string, timeoutMs: number): Promise<boolean> {
  const mark: ProcessMark | undefined = (await readState(paths)).helpers[name];
  await changeState(paths, state => {
    delete state.helpers[name];
  });
  if (mark === undefined || !isAlive(mark)) return false;
  process.kill(mark.pid, 'SIGTERM');
  for (let waited = 0; isAlive(mark); waited += 100) {
    if (waited > timeoutMs) throw new MailherdError('COMMAND_FAILED', {command: `stop ${name}`, reason: 'it does not end'});
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  return true;
}
