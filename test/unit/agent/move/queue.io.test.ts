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

test("deferred mail of a user is tried again, whatever he has behind a plus and in capitals; nobody else's is", async () => {
  const messages = [
    ['A1', 'deferred', 'Ada@Example.org'],
    ['A2', 'deferred', 'ada+news@example.org'],
    ['A3', 'active', 'ada@example.org'],
    ['B1', 'deferred', 'adam@example.org'],
    ['B2', 'deferred', 'ben+ada@example.org'],
  ].map(([queue_id, queue_name, address]) => JSON.stringify({queue_id, queue_name, recipients: [{address}]}));
  writeFileSync(join(folder, 'queue'), `${messages.join('\n')}\n`);
  const script = `#!/bin/sh\nif [ "$1" = -j ]; then cat '${folder}/queue'; else echo "$2" >> '${folder}/tried'; fi\n`;
  writeFileSync(join(folder, 'postqueue'), script, {mode: 0o755});
  expect(await postfixQueue(() => false).retry(['ada@example.org'])).toBe(2);
  expect(readFileSync(join(folder, 'tried'), 'utf8')).toBe('A1\nA2\n');
});
