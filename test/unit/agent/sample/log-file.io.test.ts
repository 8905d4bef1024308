import {spawn} from 'node:child_process';
import {appendFileSync, copyFileSync, mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {type FilePosition, LogFileReader} from '../../../../agent/sample/log-file.io.ts';

let folder: string;
let path: string;
let stops: AbortController[];
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-log-'));
  path = join(folder, 'mail.log');
  stops = [];
  lines = [];
});
afterEach(async () => {
  for (const stop of stops) stop.abort();
  rmSync(folder, {recursive: true});
});

function follow(position: FilePosition | null = null, taken = lines): {reader: LogFileReader; stop: () => Promise<void>} {
  const stop = new AbortController();
  stops.push(stop);
  const reader = new LogFileReader({
    path,
    position,
    onLine: (line, isOld) => taken.push(isOld ? `old ${line}` : line),
    signal: stop.signal,
    pollMs: 2,
  });
  const done = reader.run();
  return {
    reader,
    stop: () => {
      stop.abort();
      return done;
    },
  };
}
const write = (...text: string[]): void => appendFileSync(path, text.map(line => `${line}\n`).join(''));
const ready = (reader: LogFileReader): Promise<void> => vi.waitFor(() => expect(reader.failure).toBeNull());
const seen = (expected: string[], taken = lines): Promise<void> => vi.waitFor(() => expect(taken).toEqual(expected));

test('begins at the end, and takes whole lines only', async () => {
  write('before');
  const {reader} = follow();
  await ready(reader);
  appendFileSync(path, 'one\ntw');
  await seen(['one']);
  appendFileSync(path, 'o\n\nthree\n');
  await seen(['one', 'two', 'three']);
});

test('a renamed log is read to its end while the new one is read too', async () => {
  write('before');
  const {reader} = follow();
  await ready(reader);
  write('a');
  renameSync(path, `${path}.1`);
  appendFileSync(`${path}.1`, 'b\n');
  write('c');
  await vi.waitFor(() => expect([...lines].sort()).toEqual(['a', 'b', 'c']));
  appendFileSync(`${path}.1`, 'd\n');
  write('e');
  await vi.waitFor(() => expect([...lines].sort()).toEqual(['a', 'b', 'c', 'd', 'e']));
});

test('a log that is copied and truncated goes on, also when it has grown past the old end at once', async () => {
  write('before');
  const {reader} = follow();
  await ready(reader);
  write('a');
  await seen(['a']);
  copyFileSync(path, `${path}.1`);
  truncateSync(path, 0);
  write('b');
  await seen(['a', 'b']);
  writeFileSync(path, 'c'.repeat(100).concat('\nd\n'));
  await seen(['a', 'b', 'c'.repeat(100), 'd']);
});

test('goes on where it stopped: in the same file, after a rotation, after a truncation', async () => {
  write('before');
  const first = follow();
  await ready(first.reader);
  write('a');
  appendFileSync(path, 'half');
  await seen(['a']);
  await vi.waitFor(() => expect(first.reader.position?.offset).toBe('before\na\n'.length));
  const {position} = first.reader;
  await first.stop();
  appendFileSync(path, ' done\n');
  const same: string[] = [];
  const second = follow(position, same);
  await seen(['old half done'], same);
  write('now');
  await seen(['old half done', 'now'], same);
  await second.stop();

  renameSync(path, `${path}.1`);
  write('c');
  const rotated: string[] = [];
  const third = follow(position, rotated);
  await seen(['old half done', 'old now', 'old c'], rotated);
  await third.stop();

  truncateSync(path, 0);
  write('fresh');
  rmSync(`${path}.1`);
  const truncated: string[] = [];
  const fourth = follow(position, truncated);
  await seen(['old fresh'], truncated);
  await fourth.stop();
});

/** Where a reader stood that had read one line and stopped. */
async function readAndStopped(): Promise<FilePosition | null> {
  write('before');
  const {reader, stop} = follow();
  await ready(reader);
  write('a');
  await seen(['a']);
  const {position} = reader;
  await stop();
  return position;
}

test.each(['mail.log-20261129', 'mail.log-20261129-1764430000', 'mail.log.7', 'mail-20261129.log', 'mail.log.2026-11-29'])(
  'goes on where it stopped in a file that is called %s now, and in what came after it',
  async name => {
    const position = await readAndStopped();
    write('b');
    renameSync(path, join(folder, name));
    write('c');
    renameSync(path, join(folder, 'mail.log-20991231'));
    write('d');
    writeFileSync(join(folder, 'mail.log-20250101.gz'), 'packed\n');
    writeFileSync(join(folder, 'mail.log.old'), 'no\n');
    const later: string[] = [];
    const {reader} = follow(position, later);
    await seen(['old b', 'old c', 'old d'], later);
    expect(reader.takeLoss()).toBeNull();
  },
);

test('a file that was compressed meanwhile is told as a loss once; what came after it is read', async () => {
  writeFileSync(join(folder, 'mail.log.3'), 'long ago\n');
  utimesSync(join(folder, 'mail.log.3'), 1e9, 1e9);
  const position = await readAndStopped();
  write('packed');
  // The next file gets its inode, on file systems that give it again at once.
  rmSync(path);
  write('c');
  renameSync(path, join(folder, 'mail.log.1'));
  write('d');
  const later: string[] = [];
  const {reader} = follow(position, later);
  await seen(['old c', 'old d'], later);
  expect([reader.takeLoss(), reader.takeLoss()]).toEqual([expect.stringContaining('is missing'), null]);
});

test('goes on in the copy of a log that was copied and truncated while nobody read', async () => {
  const position = await readAndStopped();
  write('b');
  copyFileSync(path, join(folder, 'mail.log.1'));
  truncateSync(path, 0);
  write('c');
  const later: string[] = [];
  const {reader} = follow(position, later);
  await seen(['old b', 'old c'], later);
  expect(reader.takeLoss()).toBeNull();
});

test('a log that is rotated twice by the date between two looks is read whole', async () => {
  write('before');
  const stop = new AbortController();
  stops.push(stop);
  const taken: string[] = [];
  const reader = new LogFileReader({path, position: null, onLine: line => taken.push(line), signal: stop.signal, pollMs: 300});
  void reader.run();
  await ready(reader);
  write('a');
  renameSync(path, join(folder, 'mail.log-20261128'));
  write('b');
  renameSync(path, join(folder, 'mail.log-20261129'));
  write('c');
  await seen(['a', 'b', 'c'], taken);
});

test('a log that is not there is a reason, not silence; it is read once it is', async () => {
  const {reader} = follow();
  await vi.waitFor(() => expect(reader.failure).toContain('ENOENT'));
  write('a');
  await ready(reader);
  write('b');
  await vi.waitFor(() => expect(lines).toContain('b'));
});

test('bytes that are no text and lines without end do no harm', async () => {
  write('before');
  const {reader} = follow();
  await ready(reader);
  appendFileSync(path, Buffer.from([0xff, 0xfe, 0, 10]));
  appendFileSync(path, Buffer.alloc(1_000_000, 'x'));
  appendFileSync(path, '\nend\n');
  await vi.waitFor(() => expect(lines.at(-1)).toBe('end'));
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(16 * 1024);
});

/** Writes numbered lines as fast as it can into the file that it was told to open last, as a syslog daemon does; says at the end how many. */
const WRITER = `
const fs = require('node:fs');
const [path] = process.argv.slice(1);
let file = fs.openSync(path, 'a');
let isEnding = false;
let opened = 0;
process.on('SIGHUP', () => { fs.closeSync(file); file = fs.openSync(path, 'a'); opened++; });
process.on('SIGTERM', () => { isEnding = true; });
let at = 0;
(function burst() {
  for (let i = 0; i < 50; i++) fs.writeSync(file, opened + ' line ' + at++ + '\\n');
  if (isEnding) process.stdout.write(String(at));
  else setImmediate(burst);
})();
`;

test('rotated again and again under load: every line once', async () => {
  writeFileSync(path, '');
  const {reader} = follow();
  await ready(reader);
  const writer = spawn(process.execPath, ['-e', WRITER, path], {stdio: ['ignore', 'pipe', 'inherit']});
  let written = '';
  writer.stdout.on('data', chunk => {
    written += chunk;
  });
  const ended = new Promise(resolve => writer.once('close', resolve));
  for (let rotation = 0; rotation < 8; rotation++) {
    // Of the file that was opened last: who rotates twice between two looks may take away what nobody has seen.
    await vi.waitFor(() => expect(lines.filter(line => line.startsWith(`${rotation} `)).length).toBeGreaterThan(2_000), {timeout: 30_000});
    renameSync(path, `${path}.1`);
    // The writer goes on in the renamed file until the signal reaches it
    writer.kill('SIGHUP');
  }
  writer.kill('SIGTERM');
  await ended;
  await vi.waitFor(() => expect(lines.length).toBe(Number(written)), {timeout: 30_000});
  expect(new Set(lines).size).toBe(lines.length);
});
