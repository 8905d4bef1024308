import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import {SeedArchive} from '../../../../agent/move/seed-archive.io.ts';
import {MaildirParcel} from '../../../../agent/move/seed-maildir.io.ts';

const GUIDS = {INBOX: '0'.repeat(32), '.Sent': '1'.repeat(32)} as const;
const LONG = `1.M1P1.${'h'.repeat(120)},S=5`;
const SHORT = '1.M1P1.host,S=5';
const rows = async (): Promise<Record<string, string>[]> => Object.values(GUIDS).map(guid => ({guid, uidnext: '2'}));
let inbox: string;

beforeEach(() => {
  inbox = mkdtempSync(join(tmpdir(), 'mailherd-maildir-'));
});
afterEach(() => rmSync(inbox, {recursive: true}));

/** A maildir of one message in each of its two folders. @returns GUIDs of the folders that go; null when nothing does. */
async function sent(names: Record<keyof typeof GUIDS, string>): Promise<string[] | null> {
  for (const folder of ['INBOX', '.Sent'] as const) {
    const directory = folder === 'INBOX' ? inbox : join(inbox, folder);
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(directory, part), {recursive: true});
    writeFileSync(join(directory, 'cur', `${names[folder]}:2,`), 'text\n');
    writeFileSync(join(directory, 'dovecot-uidlist'), `3 V7 N2 G${GUIDS[folder]}\n1 :${names[folder]}\n`);
  }
  const parcel = await MaildirParcel.of('ada@x', inbox, {rows} as unknown as DoveadmServer, null);
  if (parcel === null) return null;
  const {folders} = await parcel.send(new SeedArchive({say: async () => undefined}, parcel));
  return folders.map(({guid}) => guid);
}

test('a folder with a name that is too long for an archive is left to dsync, the others go', async () => {
  expect(await sent({INBOX: SHORT, '.Sent': LONG})).toEqual([GUIDS.INBOX]);
});

test('without its INBOX nothing goes: the target would make one of its own', async () => {
  expect(await sent({INBOX: LONG, '.Sent': SHORT})).toBeNull();
});
