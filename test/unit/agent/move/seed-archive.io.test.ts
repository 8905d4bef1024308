import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {SeedArchive} from '../../../../agent/move/seed-archive.io.ts';
import {type PackedFiles, TEXT_SUM_BYTES} from '../../../../native/mailbox.ts';

const SECONDS = 1_700_000_000;
const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const LONG = `.${'l'.repeat(140)}/cur/8.M1P1.host,S=5,W=5:2,`;
/** Of sizes about those of a block and of a piece. */
const TEXTS: Readonly<Record<string, string>> = {
  'cur/1.M1P1.host,S=4:2,S': 'one\n',
  'cur/2.M1P1.host:2,FSab': '',
  'new/3.M1P1.host': 'with\r\nline ends\r\n',
  'cur/4.M1P1.host:2,x': 'lone \r here\r',
  'cur/5.M1P1.host:2,S': 'x'.repeat(511),
  '.Sent/cur/6.M1P1.host:2,S': 'y'.repeat(512),
  '.Sent/cur/7.M1P1.host:2,': `${'z'.repeat(262_143)}\r\n${'z'.repeat(700)}`,
  [LONG]: 'long\n',
  'cur/mbox': 'no flags\n',
};
let folder: string;
let root: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-archive-'));
  root = join(folder, 'Maildir');
  for (const each of ['cur', 'new', '.Sent/cur', LONG.slice(0, LONG.lastIndexOf('/'))]) mkdirSync(join(root, each), {recursive: true});
  for (const [path, text] of Object.entries(TEXTS)) {
    writeFileSync(join(root, path), text, {mode: 0o600});
    utimesSync(join(root, path), SECONDS, SECONDS);
  }
});
afterEach(() => rmSync(folder, {recursive: true}));

interface Sent {
  files: [path: string, bytes: number, digest: string | null][];
  archive: SeedArchive;
  stream: Buffer;
}

async function send(paths: readonly string[], areTexts = true, dropsKeywords = true): Promise<Sent> {
  const files: Sent['files'] = [];
  const parts: Uint8Array[] = [];
  const line = {say: async (bytes: Uint8Array | string) => void parts.push(Buffer.from(bytes as Uint8Array))};
  const sent = (packed: PackedFiles): void => {
    for (const [at, place] of packed.files.entries()) {
      const sum = packed.sums.length === 0 ? null : packed.sums.toString('hex', at * TEXT_SUM_BYTES, (at + 1) * TEXT_SUM_BYTES);
      files.push([paths[place] ?? '', packed.sizes[at] ?? 0, sum]);
    }
  };
  const archive = new SeedArchive(line, {sent, areTexts});
  for (const each of ['cur', 'new', '.Sent', '.Sent/cur']) await archive.passMember(each, null, 0);
  await archive.passFiles(root, paths, dropsKeywords);
  await archive.end();
  return {files, archive, stream: Buffer.concat(parts)};
}

/** Files that tar unpacks of it, with their content and time. */
function unpacked(stream: Buffer): [path: string, text: string, seconds: number][] {
  const there = join(folder, 'there');
  mkdirSync(there);
  execFileSync('tar', ['--extract', '--file=-', '--ignore-zeros', `--directory=${there}`], {input: stream});
  return readdirSync(there, {recursive: true, withFileTypes: true})
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .map(path => [path.slice(there.length + 1), readFileSync(path, 'utf8'), statSync(path).mtimeMs / 1_000]);
}

test('tar finds what was packed: names without keywords, texts, times; of each text the digest is told', async () => {
  const {files, archive, stream} = await send(Object.keys(TEXTS));
  const expected = Object.entries(TEXTS);
  expect(files).toEqual(expected.map(([path, text]) => [path, text.length, sha(text.replaceAll('\r\n', '\n'))]));
  expect([archive.files, archive.bytes]).toEqual([expected.length, Object.values(TEXTS).join('').length]);
  const names = expected.map(([path, text]) => [path.replace(/(:2,[A-Z]*)[a-z]*$/, '$1'), text, SECONDS]);
  expect(unpacked(stream).sort()).toEqual(names.sort());
});

test('names stay as they are, and there is no digest, where files are not just texts', async () => {
  const {files, stream} = await send(['cur/2.M1P1.host:2,FSab'], false, false);
  expect(files).toEqual([['cur/2.M1P1.host:2,FSab', 0, null]]);
  expect(unpacked(stream)).toEqual([['cur/2.M1P1.host:2,FSab', '', SECONDS]]);
});

test('what is gone is left out', async () => {
  const {files, archive, stream} = await send(['cur/gone', 'none/at/all', 'new/3.M1P1.host', 'cur/gone too']);
  expect(files.map(([path]) => path)).toEqual(['new/3.M1P1.host']);
  expect(archive.files).toBe(1);
  expect(unpacked(stream)).toHaveLength(1);
});

test('nothing but plain files goes, and no name that an archive has no room for', async () => {
  symlinkSync('/etc/passwd', join(root, 'cur/link'));
  await expect(send(['cur/link'])).rejects.toMatchObject({code: 'SEED_UNFIT'});
  await expect(send(['cur'])).rejects.toMatchObject({code: 'COPY_FAILED'});
  const name = `cur/${'n'.repeat(150)}`;
  writeFileSync(join(root, name), 'text');
  await expect(send([name])).rejects.toMatchObject({code: 'COPY_FAILED'});
});

test('nothing goes from behind a link, be it in the place of a directory or of the root', async () => {
  const other = join(folder, 'other');
  mkdirSync(other);
  writeFileSync(join(other, '1'), 'not his');
  symlinkSync(other, join(root, '.Linked'));
  await expect(send(['.Linked/1'])).rejects.toMatchObject({code: 'SEED_UNFIT'});
  rmSync(root, {recursive: true});
  symlinkSync(other, root);
  await expect(send(['1'])).rejects.toMatchObject({code: 'SEED_UNFIT'});
});
