import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {ListReader} from '../../../../agent/move/plain-file.io.ts';
import {SeedArchive} from '../../../../agent/move/seed-archive.io.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mailherd-plain-'));
});
afterEach(() => rmSync(root, {recursive: true}));

test('a file of mdbox of which the beginning goes is a plain one, and behind no link', async () => {
  mkdirSync(join(root, 'storage'));
  execFileSync('mkfifo', [join(root, 'storage/m.1')]);
  symlinkSync('/etc/passwd', join(root, 'storage/m.2'));
  symlinkSync('/etc', join(root, 'elsewhere'));
  const archive = new SeedArchive({say: async () => undefined}, {sent: () => undefined, areTexts: false});
  for (const path of ['storage/m.1', 'storage/m.2', 'elsewhere/passwd'])
    await expect(archive.passBeginning(root, path, 5, 0)).rejects.toMatchObject({code: 'SEED_UNFIT'});
  expect(await archive.passBeginning(root, 'storage/m.3', 5, 0)).toBe(false);
});

test('lists are read as they are; together they have a limit', async () => {
  writeFileSync(join(root, 'one'), 'one');
  for (const path of ['two', 'three']) {
    writeFileSync(join(root, path), '');
    truncateSync(join(root, path), 70 * 2 ** 20);
  }
  const lists = new ListReader(root);
  expect((await lists.read('one')).toString()).toBe('one');
  expect(await lists.read('two')).toHaveLength(70 * 2 ** 20);
  await expect(lists.read('three')).rejects.toMatchObject({code: 'SEED_UNFIT'});
  await expect(lists.read('none')).rejects.toMatchObject({code: 'ENOENT'});
});
