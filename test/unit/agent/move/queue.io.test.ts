import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {postfixQueue} from '../../../../agent/move/queue.io.ts';

const {PATH} = process.env;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-queue-'));
  process.env.PATH = `${folder}:${PATH}`;
});
afterEach(() => {
  process.env.PATH = PATH;
  rmSync(folder, {recursive: true});
});

function queueOf(...messages: (readonly [id: string, queue: string, address: string])[]): void {
  const lines = messages.map(([queue_id, queue_name, address]) => `${JSON.stringify({queue_id, queue_name, recipients: [{address}]})}\n`);
  writeFileSync(join(folder, 'queue'), lines.join(''));
  const script = `#!/bin/sh
case "$1 $2" in
'-j '*) cat '${folder}/queue' ;;
'-i BAD') echo 'no such message' >&2; exit 69 ;;
'-i '*) echo "$2" >> '${folder}/tried' ;;
*) echo "$*" >> '${folder}/tried' ;;
esac
`;
  writeFileSync(join(folder, 'postqueue'), script, {mode: 0o755});
}

/** Several are tried at a time, in any order. */
function tried(): string[] {
  return readFileSync(join(folder, 'tried'), 'utf8').trim().split('\n').sort();
}

test("deferred mail of a user is tried again, whatever he has behind a plus and in capitals; nobody else's is", async () => {
  queueOf(
    ['A1', 'deferred', 'Ada@Example.org'],
    ['A2', 'deferred', 'ada+news@example.org'],
    ['A3', 'active', 'ada@example.org'],
    ['B1', 'deferred', 'adam@example.org'],
    ['B2', 'deferred', 'ben+ada@example.org'],
  );
  expect(await postfixQueue(() => false).retry(['ada@example.org'])).toBe(2);
  expect(tried()).toEqual(['A1', 'A2']);
});

test('where most of what is deferred is asked for all of it is tried, by one program', async () => {
  const ada = Array.from({length: 20}, (_, at) => [`A${at}`, 'deferred', 'ada@example.org'] as const);
  const ben = Array.from({length: 21}, (_, at) => [`B${at}`, 'deferred', 'ben@example.org'] as const);
  queueOf(...ada, ...ben.slice(0, 20));
  expect([await postfixQueue(() => false).retry(['ada@example.org']), tried()]).toEqual([20, ['-f']]);
  queueOf(...ada, ...ben);
  expect(await postfixQueue(() => false).retry(['ada@example.org'])).toBe(20);
  expect(tried()).toEqual(['-f', ...ada.map(([id]) => id)].sort());
});

test('one that cannot be tried keeps no other from it, and is told of; without any no program is started', async () => {
  queueOf(['A1', 'deferred', 'ada@example.org'], ['BAD', 'deferred', 'ada@example.org'], ['A2', 'deferred', 'ada@example.org']);
  const refused = {code: 'COMMAND_FAILED', detail: {command: 'postqueue -i', reason: expect.stringContaining('no such message')}};
  await expect(postfixQueue(() => false).retry(['ada@example.org'])).rejects.toMatchObject(refused);
  expect(tried()).toEqual(['A1', 'A2']);
  expect([await postfixQueue(() => false).retry(['ben@example.org']), tried()]).toEqual([0, ['A1', 'A2']]);
});
