import {execFileSync, spawn} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Writable} from 'node:stream';
import fc from 'fast-check';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {tarEnd, tarHeader, tarMember, tarPadding} from '../../agent/move/seed-tar.ts';

const PROGRAM = join(import.meta.dirname, '../../build/Release/mailherd-unpack');
const SECONDS = 1_700_000_000;
const SUMMARY = '{"files":1}\n';
let folder: string;
let root: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-unpack-'));
  root = join(folder, 'root');
  mkdirSync(root);
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

interface Unpacking {
  format?: string;
  bytesMax?: number;
  /** Lengths of the pieces in which the stream comes, again and again. */
  pieces?: readonly number[];
  remove?: readonly string[];
}

async function unpack(
  stream: readonly (Uint8Array | string)[],
  {format = 'maildir', bytesMax = 1e9, pieces = [Number.MAX_SAFE_INTEGER], remove = []}: Unpacking = {},
): Promise<{exit: number | null; out: string; err: string}> {
  const child = spawn(PROGRAM, [format, `${bytesMax}`], {cwd: root, stdio: ['pipe', 'pipe', 'pipe', 'pipe']});
  let [out, err] = ['', ''];
  child.stdout.on('data', text => {
    out += text;
  });
  child.stderr.on('data', text => {
    err += text;
  });
  const input = child.stdio[3] as Writable;
  // It may end before it has read all.
  for (const stdin of [input, child.stdin])
    stdin.on('error', error => expect(error).toMatchObject({code: expect.stringMatching(/^(?:EPIPE|ECONNRESET)$/)}));
  const bytes = Buffer.concat(stream.map(part => Buffer.from(part as Uint8Array)));
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = pieces[turn % pieces.length] ?? 1;
    if (!input.write(bytes.subarray(at, at + size)) && input.writable)
      await new Promise(resolve => input.once('drain', resolve).once('close', resolve));
    at += size;
  }
  input.end();
  child.stdin.end(remove.map(path => `${path}\0`).join(''));
  const exit = await new Promise<number | null>(resolve => child.on('close', resolve));
  return {exit, out, err: err.trim()};
}

/** Every file below the root with its text and time. */
function found(): [path: string, text: string, seconds: number][] {
  return readdirSync(root, {recursive: true, withFileTypes: true})
    .filter(entry => entry.isFile())
    .map(({parentPath, name}) => join(parentPath, name))
    .map((path): [string, string, number] => [path.slice(root.length + 1), readFileSync(path, 'latin1'), statSync(path).mtimeMs / 1_000])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('archives', () => {
  test('are unpacked the same however the stream is cut, and end where the text begins', async () => {
    const name = fc.string({unit: fc.constantFrom(...'ab,:=&-.'), minLength: 1, maxLength: 60}).map(text => `cur/m${text}`);
    const file = fc.record({name, content: fc.string({unit: 'binary-ascii', maxLength: 2_000})});
    const files = fc.uniqueArray(file, {maxLength: 6, selector: each => each.name});
    await fc.assert(
      fc.asyncProperty(files, fc.array(fc.integer({min: 1, max: 1_500}), {minLength: 1, maxLength: 5}), async (all, pieces) => {
        rmSync(root, {recursive: true});
        mkdirSync(root);
        const archive = [...all.map(({name: path, content}) => tarMember(path, content, SECONDS)), tarEnd()];
        const {exit, out, err} = await unpack([...archive, ...archive.slice(-1), SUMMARY], {pieces});
        expect([exit, out, err]).toEqual([0, `${all.length}\n${SUMMARY}`, '']);
        const sorted = all.map(({name: path, content}) => [path, content, SECONDS]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
        expect(found()).toEqual(sorted);
      }),
      {numRuns: 25},
    );
  });

  test('that tar made are read, and directories keep their times', async () => {
    const from = join(folder, 'from');
    mkdirSync(join(from, '.Sent/cur'), {recursive: true});
    writeFileSync(join(from, '.Sent/cur/1.host:2,S'), 'x'.repeat(700_000), {mode: 0o640});
    const tar = ['--create', '--file=-', '--format=ustar', '--mtime=@86400', '-C', from, '.Sent'];
    expect(await unpack([execFileSync('tar', tar, {maxBuffer: 1e7}), SUMMARY])).toEqual({exit: 0, out: `1\n${SUMMARY}`, err: ''});
    expect(found()).toEqual([['.Sent/cur/1.host:2,S', 'x'.repeat(700_000), 86_400]]);
    expect([statSync(join(root, '.Sent/cur')).mtimeMs, statSync(join(root, '.Sent')).mtimeMs]).toEqual([86_400_000, 86_400_000]);
    expect(statSync(join(root, '.Sent/cur/1.host:2,S')).mode & 0o777).toBe(0o640 & ~process.umask());
  });

  test.each([
    ['a symbolic link', '2'],
    ['a hard link', '1'],
    ['a device', '3'],
    ['a pipe', '6'],
    ['a long name of GNU tar', 'L'],
    ['an extended header', 'x'],
    ['a sparse file', 'S'],
  ])('with %s are refused', async (_what, type) => {
    const member = tarMember('cur/a', 'x', 0);
    member[156] = type.charCodeAt(0);
    expect(await unpack([member, tarEnd(), SUMMARY])).toMatchObject({
      exit: 1,
      out: '',
      err: 'no plain ustar archive: a member of another type',
    });
    expect(found()).toEqual([]);
  });

  test.each([
    ['sum', 'checksum', (member: Uint8Array) => member.set([0x39], 0)],
    ['size', 'size', (member: Uint8Array) => member.set([0x2d], 124)],
    ['magic', 'magic', (member: Uint8Array) => member.set([0x20], 262)],
  ])('with a wrong %s are refused', async (_what, reason, spoil) => {
    const member = tarMember('cur/a', 'x', 0);
    spoil(member);
    if (reason === 'size') setSum(member);
    expect(await unpack([member, tarEnd(), SUMMARY])).toMatchObject({exit: 1, err: `no plain ustar archive: ${reason}`});
  });

  test('that break off, in whatever they are, or are larger than agreed are refused', async () => {
    for (const length of [0, 100, 514, 1_000, 1_024]) {
      const member = tarMember(`cur/${length}`, 'text\n', 0);
      expect((await unpack([member.subarray(0, length)])).err).toBe('the stream broke off');
    }
    expect((await unpack([tarMember('cur/b', 'text\n', 0), tarEnd(), SUMMARY], {bytesMax: 4})).err).toBe('larger than expected');
  });

  test('do not end with a text without end', async () => {
    const {exit, err} = await unpack([tarEnd(), '{', Buffer.alloc(17e6, 0x20)]);
    expect([exit, err]).toEqual([1, 'the summary is too long']);
  });
});

/** Of another header. */
function setSum(header: Uint8Array): void {
  header.fill(0x20, 148, 156);
  const sum = header.subarray(0, 512).reduce((all, byte) => all + byte, 0);
  header.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
}

describe('files that are there', () => {
  test('are never written over in a maildir; in mdbox they are sent again when they have grown', async () => {
    mkdirSync(join(root, 'cur'));
    writeFileSync(join(root, 'cur/a'), 'mine');
    expect((await unpack([tarMember('cur/a', 'yours', 0), tarEnd(), SUMMARY])).err).toBe('open cur/a: File exists');
    expect(readFileSync(join(root, 'cur/a'), 'utf8')).toBe('mine');
    rmSync(join(root, 'cur'), {recursive: true});
    const twice = [tarMember('storage/m.1', 'long before', 0), tarMember('storage/m.1', 'short', SECONDS), tarEnd(), SUMMARY];
    expect(await unpack(twice, {format: 'mdbox'})).toMatchObject({exit: 0, out: `2\n${SUMMARY}`});
    expect(found()).toEqual([['storage/m.1', 'short', SECONDS]]);
  });

  test('are removed when they are no part of it after all, and nothing else is', async () => {
    const sent = ['u.1', 'u.2'].map(name => tarMember(`mailboxes/INBOX/dbox-Mails/${name}`, name, SECONDS));
    const stream = [...sent, tarEnd(), SUMMARY];
    expect((await unpack(stream, {format: 'sdbox', remove: ['mailboxes/INBOX/dbox-Mails/u.1']})).exit).toBe(0);
    expect(found().map(([path]) => path)).toEqual(['mailboxes/INBOX/dbox-Mails/u.2']);
    writeFileSync(join(folder, 'outside'), '');
    const again = await unpack([tarEnd(), SUMMARY], {format: 'sdbox', remove: ['../outside']});
    expect(again).toMatchObject({exit: 1, err: 'no sdbox holds that: ../outside'});
    expect(readFileSync(join(folder, 'outside'), 'utf8')).toBe('');
  });

  test.each([
    ['directory', 'cur', 'cur/a'],
    ['directory above', '.Sent', '.Sent/cur/a'],
    ['file', 'cur/a', 'cur/a'],
  ])('as a symbolic link in place of a %s lead nowhere', async (_what, link, path) => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(join(elsewhere, 'cur'), {recursive: true});
    if (link.includes('/')) mkdirSync(join(root, link, '..'), {recursive: true});
    symlinkSync(link.includes('/') ? join(elsewhere, 'a') : elsewhere, join(root, link));
    const {exit} = await unpack([tarMember(path.slice(0, path.lastIndexOf('/')), null, 0), tarMember(path, 'x', 0), tarEnd(), SUMMARY]);
    expect(exit).toBe(1);
    expect(readdirSync(elsewhere, {recursive: true})).toEqual(['cur']);
  });

  test('as a symbolic link lead nowhere where files are written over either', async () => {
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, 'mine');
    mkdirSync(join(root, 'storage'));
    symlinkSync(elsewhere, join(root, 'storage/m.1'));
    const {err} = await unpack([tarMember('storage/m.1', 'yours', 0), tarEnd(), SUMMARY], {format: 'mdbox'});
    expect(err).toBe('open storage/m.1: Too many levels of symbolic links');
    expect(readFileSync(elsewhere, 'utf8')).toBe('mine');
  });
});

describe('what a mailbox holds', () => {
  const holds = async (format: string, path: string, isDirectory: boolean): Promise<{exit: number | null; err: string}> =>
    unpack([tarHeader(path, isDirectory ? null : 1, 0), ...(isDirectory ? [] : ['x', tarPadding(1)]), tarEnd(), SUMMARY], {format});

  test.each([
    ['maildir', 'cur/100.M0P1.h,S=10:2,S', false],
    ['maildir', 'new/100.M0P1.h', false],
    ['maildir', '.Archive.2002/cur/100.h:2,', false],
    ['maildir', '.&BB8EQAQ+-/dovecot-uidlist', false],
    ['maildir', 'dovecot-keywords', false],
    ['maildir', '.Sent/maildirfolder', false],
    ['maildir', 'cur', true],
    ['maildir', '.Sent', true],
    ['maildir', '.Sent/tmp/', true],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/u.17', false],
    ['sdbox', 'mailboxes/A/B &AOQ-/dbox-Mails/dovecot.index.log', false],
    ['sdbox', 'mailboxes/A/dbox-Mails/', true],
    ['mdbox', 'mailboxes/INBOX/dbox-Mails/dovecot.index', false],
    ['mdbox', 'storage/m.1', false],
    ['mdbox', 'storage/dovecot.map.index.log', false],
    ['mdbox', 'storage', true],
  ] as const)('%s: %s', async (format, path, isDirectory) => {
    expect(await holds(format, path, isDirectory)).toEqual({exit: 0, out: `${isDirectory ? 0 : 1}\n${SUMMARY}`, err: ''});
  });

  test.each([
    ['maildir', '../cur/a', false],
    ['maildir', 'cur/../../a', false],
    ['maildir', '.Sent/../cur/a', false],
    ['maildir', '..', true],
    ['maildir', '../x', true],
    ['maildir', 'cur/a/b', false],
    ['maildir', 'cur//a', false],
    ['maildir', 'cur/.hidden', false],
    ['maildir', 'tmp/a', false],
    ['maildir', '.Sent', false],
    ['maildir', '.dovecot.sieve', false],
    ['maildir', 'dovecot.index', false],
    ['maildir', '.Sent/dovecot.index.log', false],
    ['maildir', '.Sent/cur/tmp', true],
    ['maildir', 'subscriptions', false],
    ['maildir', './cur/a', false],
    ['maildir', '.ssh/authorized_keys', false],
    ['maildir', 'storage/m.1', false],
    ['sdbox', 'storage/m.1', false],
    ['sdbox', 'mailboxes/../dbox-Mails/u.1', false],
    ['sdbox', 'mailboxes//dbox-Mails/u.1', false],
    ['sdbox', 'mailboxes/dbox-Mails/u.1', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/u.1/x', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/u.', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/u.1a', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/dovecot.index.cache', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/dovecot-acl', false],
    ['sdbox', 'u.1', false],
    ['sdbox', 'sieve', true],
    ['mdbox', 'mailboxes/INBOX/dbox-Mails/u.17', false],
    ['mdbox', 'dovecot.list.index', false],
    ['mdbox', 'storage/m.1', true],
    ['mdbox', '../storage', true],
  ] as const)('not %s: %s', async (format, path, isDirectory) => {
    expect(await holds(format, path, isDirectory)).toEqual({exit: 1, out: '', err: `no ${format} holds that: ${path}`});
    expect(readdirSync(root)).toEqual([]);
  });

  test('that starts at the root of the file system is refused too', async () => {
    const member = tarMember('etc/passwd', 'x', 0);
    member.copyWithin(1, 0, 10);
    member[0] = 0x2f;
    setSum(member);
    expect((await unpack([member, tarEnd(), SUMMARY])).err).toBe('no maildir holds that: /etc/passwd');
  });

  test('of a format that is not known is nothing', async () => {
    expect((await unpack([tarEnd(), SUMMARY], {format: 'mbox'})).exit).toBe(2);
  });
});
