import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {pino} from 'pino';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {reread} from '../../../coordinator/main.io.ts';

const BEFORE = [{name: 'old', role: 'read' as const, sha256: 'a'.repeat(64)}];
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tokens-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

test('tokens are read again; a file that cannot be used changes nothing and is logged', () => {
  let logged = '';
  const log = pino(
    {},
    {
      write: (text: string) => {
        logged += text;
      },
    },
  );
  const file = join(folder, 'tokens.yaml');
  const write = (text: string, mode = 0o600): string => {
    rmSync(file, {force: true});
    writeFileSync(file, text, {mode});
    return file;
  };
  const fresh = `- {name: ada, role: operate, sha256: ${'b'.repeat(64)}}`;
  expect(reread(write(fresh), BEFORE, log)).toEqual([{name: 'ada', role: 'operate', sha256: 'b'.repeat(64)}]);
  expect(logged).toContain('ada');
  expect(logged).not.toContain('bbbb');
  for (const bad of ['- {name: ada', `- {name: ada, role: king, sha256: ${'b'.repeat(64)}}`])
    expect(reread(write(bad), BEFORE, log)).toEqual(BEFORE);
  expect(reread(write(fresh, 0o644), BEFORE, log)).toEqual(BEFORE);
  expect(reread(join(folder, 'none'), BEFORE, log)).toEqual(BEFORE);
  expect(logged.match(/tokens stay as they were/g)).toHaveLength(4);
});
