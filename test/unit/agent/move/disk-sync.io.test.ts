import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {DiskSync} from '../../../../agent/move/disk-sync.io.ts';

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
