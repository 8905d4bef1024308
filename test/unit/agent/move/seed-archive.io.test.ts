import {createHash} from 'node:crypto';
import {expect, test} from 'vitest';
import {SeedArchive} from '../../../../agent/move/seed-archive.io.ts';
import type {SeedLine} from '../../../../agent/move/seed-line.io.ts';
import {tarEnd, tarMember} from '../../../../agent/move/seed-tar.ts';

const TEXTS = ['one\n', '', 'with\r\nline ends\r\n', 'lone \r here\r', 'x'.repeat(511), 'y'.repeat(512), `${'z'.repeat(700)}\r\n`];
const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What is told of an archive of these texts that goes through in pieces of this length. */
async function told(length: number, hasTexts = true): Promise<{sent: string[]; read: [string, string, number][]; passed: number}> {
  const found = {sent: [] as string[], read: [] as [string, string, number][], passed: 0};
  const line = {
    say: async (bytes: Uint8Array) => {
      found.passed += bytes.length;
    },
  } as unknown as SeedLine;
  const archive = new SeedArchive(line, {
    sent: name => found.sent.push(name),
    read: hasTexts ? (name, digest, bytes) => found.read.push([name, digest.toString('hex'), bytes]) : null,
  });
  const members = [tarMember('cur', null, 0), ...TEXTS.map((text, at) => tarMember(`cur/${at}`, text, 0)), tarEnd()];
  const stream = Buffer.concat(members);
  for (let at = 0; at < stream.length; at += length) await archive.pass(stream.subarray(at, at + length));
  expect(found.passed).toBe(stream.length);
  expect([archive.files, archive.bytes]).toEqual([TEXTS.length, TEXTS.join('').length]);
  return found;
}

test.each([1, 7, 512, 513, 1_000_000])('the digest of every file, however the archive is cut: %d bytes', async length => {
  const {sent, read} = await told(length);
  expect(sent).toEqual(TEXTS.map((_, at) => `cur/${at}`));
  expect(read).toEqual(TEXTS.map((text, at) => [`cur/${at}`, sha(text.replaceAll('\r\n', '\n')), text.length]));
});

test('no digest where files are not just texts', async () => {
  expect(await told(513, false)).toMatchObject({sent: TEXTS.map((_, at) => `cur/${at}`), read: []});
});
