import {existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, utimesSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {isFirstOfBoot, lastCurrent, markCurrent, openDoor} from '../../../agent/boot.io.ts';

let folder: string;
let run: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-boot-'));
  run = join(folder, 'run');
  mkdirSync(run);
});
afterEach(() => rmSync(folder, {recursive: true}));

test('a table is first of its boot until its door is open, which no reader finds before', () => {
  expect(existsSync(join(run, 'routes'))).toBe(false);
  expect([isFirstOfBoot(run), isFirstOfBoot(run)]).toEqual([true, true]);
  openDoor(run, folder);
  expect(readlinkSync(join(run, 'routes'))).toBe(folder);
  expect(isFirstOfBoot(run)).toBe(false);
  openDoor(run, folder);
  expect(readlinkSync(join(run, 'routes'))).toBe(folder);
});

test('a door that leads nowhere is no door, and is made anew', () => {
  symlinkSync(join(folder, 'gone'), join(run, 'routes'));
  expect(isFirstOfBoot(run)).toBe(true);
  openDoor(run, folder);
  expect(readlinkSync(join(run, 'routes'))).toBe(folder);
});

test('outside systemd nobody knows of boots, and there is no door', () => {
  expect(isFirstOfBoot(undefined)).toBe(false);
  openDoor(undefined, folder);
  expect(existsSync(join(run, 'routes'))).toBe(false);
});

test('when the routes were current last is known to the disk', async () => {
  expect(await lastCurrent(folder)).toBeNull();
  await markCurrent(folder);
  const long = new Date('2026-01-01T00:00:00Z');
  utimesSync(join(folder, 'routes-current'), long, long);
  expect(await lastCurrent(folder)).toBe(long.getTime());
  await markCurrent(folder);
  expect(await lastCurrent(folder)).toBeGreaterThan(long.getTime());
});
