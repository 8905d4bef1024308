import {execFileSync} from 'node:child_process';
import {appendFileSync, existsSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {Copy} from '../../agent/move/host-ports.ts';
import {openMoveMemory} from '../../agent/move/memory.io.ts';

/** Needs root. What an agent notes of moves, on a file system of its own that becomes full. */
const COPY: Copy = {user: 'ada@example.org', moveId: '00000000-0000-4000-8000-000000000001', kind: 'arriving'};
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
});
afterEach(() => {
  execFileSync('umount', [folder]);
  rmSync(folder, {recursive: true});
});

function fillUp(path: string): void {
  expect(() => {
    for (;;) appendFileSync(path, Buffer.alloc(4_096));
  }).toThrow('ENOSPC');
}

test('a full disk takes the token of a newer leader and that a copy is gone, more than once', async () => {
  const memory = openMoveMemory(folder);
  await memory.putCopy(COPY);
  fillUp(join(folder, 'mail'));
  await memory.rememberToken(8);
  await memory.removeCopy(COPY.user);
  const next = openMoveMemory(folder);
  expect([next.highestToken(), next.copies()]).toEqual([8, []]);
  expect(existsSync(join(folder, 'moves.reserve'))).toBe(true);
});

test('a disk that is full from the start says so, and nothing is lost', async () => {
  fillUp(join(folder, 'mail'));
  const memory = openMoveMemory(folder);
  expect(existsSync(join(folder, 'moves.reserve'))).toBe(false);
  await expect(memory.putCopy(COPY)).rejects.toThrow('ENOSPC');
  expect(memory.copies()).toEqual([]);

  rmSync(join(folder, 'mail'));
  await memory.putCopy(COPY);
  expect(existsSync(join(folder, 'moves.reserve'))).toBe(true);
});
