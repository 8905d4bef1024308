import {mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {Copy} from '../../../../agent/move/host-ports.ts';
import {openMoveMemory} from '../../../../agent/move/memory.io.ts';

const COPY: Copy = {user: 'ada@example.org', moveId: '00000000-0000-4000-8000-000000000001', kind: 'arriving'};
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-memory-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

test('what is noted is found again by the next agent', async () => {
  const memory = openMoveMemory(folder);
  await memory.rememberToken(7);
  await memory.rememberToken(6);
  await memory.putCopy(COPY);
  await memory.putCopy({...COPY, user: 'ben@example.org'});
  await memory.removeCopy('ben@example.org');
  const next = openMoveMemory(folder);
  expect([next.highestToken(), next.copies()]).toEqual([7, [COPY]]);
});

test('what the disk did not take is not known either: the command that comes again notes it', async () => {
  const memory = openMoveMemory(folder);
  await memory.putCopy(COPY);
  const inTheWay = join(folder, 'moves.json.new');
  mkdirSync(inTheWay);
  await expect(memory.rememberToken(8)).rejects.toThrow();
  await expect(memory.removeCopy(COPY.user)).rejects.toThrow();
  await expect(memory.putCopy({...COPY, user: 'ben@example.org'})).rejects.toThrow();
  expect([memory.highestToken(), memory.copies()]).toEqual([0, [COPY]]);
  rmdirSync(inTheWay);
  await memory.rememberToken(8);
  expect(openMoveMemory(folder).highestToken()).toBe(8);
});

test('so much room is set aside that all of it can be written anew on a full disk', async () => {
  const memory = openMoveMemory(folder);
  const sizeOf = (name: string): number => statSync(join(folder, name)).size;
  for (let at = 0; at < 40; at++) await memory.putCopy({...COPY, user: `${'u'.repeat(200)}${at}@example.org`});
  expect(sizeOf('moves.reserve')).toBe(256 * 1_024);
  const copies = Array.from({length: 4_000}, (_, at) => ({...COPY, user: `u${at}@example.org`, kind: 'retained'}));
  writeFileSync(join(folder, 'moves.json'), JSON.stringify({v: 1, token: 1, copies}));
  const next = openMoveMemory(folder);
  expect(sizeOf('moves.reserve')).toBeGreaterThanOrEqual(sizeOf('moves.json'));
  await next.rememberToken(2);
  expect(sizeOf('moves.reserve')).toBeGreaterThanOrEqual(sizeOf('moves.json'));
});
