import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test, vi} from 'vitest';
import {DiskSync} from '../../../../agent/move/disk-sync.io.ts';

/** Devices that paths are on, where they are not those they really are on. */
const devices = vi.hoisted(() => new Map<string, number>());
const synced = vi.hoisted((): string[] => []);
vi.mock('node:fs/promises', async original => {
  const real = await original<typeof import('node:fs/promises')>();
  return {...real, stat: async (path: string) => Object.assign(await real.stat(path), devices.has(path) ? {dev: devices.get(path)} : {})};
});
vi.mock('../../../../agent/move/tool.io.ts', async original => {
  const real = await original<typeof import('../../../../agent/move/tool.io.ts')>();
  return {
    ...real,
    output: (command: string[]) => {
      synced.push(command.at(-1) ?? '');
      return real.output(command);
    },
  };
});

test('mailboxes go on disk, also of those whose neighbour has been removed meanwhile; one that is not there is refused', async () => {
  const store = mkdtempSync(join(tmpdir(), 'mailherd-sync-'));
  try {
    const at = (user: string) => ({home: join(store, user), inbox: join(store, user, 'Maildir'), outside: {mail: null, rest: []}});
    for (const user of ['ada', 'ben', 'eve']) mkdirSync(join(store, user));
    const disks = new DiskSync();
    await disks.place(at('ada'));
    rmSync(join(store, 'ada'), {recursive: true});
    const asked = [
      disks.place(at('ben')),
      disks.place(at('eve')),
      disks.place({...at('ben'), outside: {mail: null, rest: [{path: '/proc', root: null}]}}),
    ];
    await Promise.all(asked);
    await expect(disks.place(at('ada'))).rejects.toMatchObject({code: 'COMMAND_FAILED'});
  } finally {
    rmSync(store, {recursive: true});
  }
});

test('where a disk is mounted is found anew once another one is there', async () => {
  const store = mkdtempSync(join(tmpdir(), 'mailherd-sync-'));
  try {
    const [old, now] = [join(store, 'old'), join(store, 'new')];
    for (const disk of [old, now]) mkdirSync(join(disk, 'ada'), {recursive: true});
    const at = (disk: string) => ({home: join(disk, 'ada'), inbox: join(disk, 'ada'), outside: {mail: null, rest: []}});
    const disks = new DiskSync();
    synced.length = 0;
    for (const path of [old, join(old, 'ada')]) devices.set(path, 777_777);
    await disks.place(at(old));
    await disks.place(at(old));
    for (const path of [old, join(old, 'ada')]) devices.delete(path);
    for (const path of [now, join(now, 'ada')]) devices.set(path, 777_777);
    await disks.place(at(now));
    expect(synced).toEqual([old, old, now]);
  } finally {
    devices.clear();
    rmSync(store, {recursive: true});
  }
});
