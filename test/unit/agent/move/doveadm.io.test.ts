import {chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {KnownTexts} from '../../../../agent/move/bodies.io.ts';
import {doveadmStore} from '../../../../agent/move/doveadm.io.ts';
import {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import type {Elsewhere} from '../../../../agent/move/elsewhere.ts';
import type {PlainStore} from '../../../../agent/move/measured.ts';
import type {MailPlaces} from '../../../../agent/move/seed-place.io.ts';
import {systemClock} from '../../../../base/clock.io.ts';

let store: string;
let mail: PlainStore;
let outside: Elsewhere;

beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'mailherd-store-'));
  outside = {mail: null, rest: []};
  const places = {
    of: async (user: string) => ({
      home: join(store, user),
      mail: join(store, user, 'Maildir'),
      owner: {uid: process.getuid?.() ?? 0, gid: 0},
      outside,
    }),
    server: new DoveadmServer(join(store, 'doveadm-server')),
  } as unknown as MailPlaces;
  mail = doveadmStore({store, places, texts: new KnownTexts(), doveadmPort: 24245, clock: systemClock});
});
afterEach(() => rmSync(store, {recursive: true}));

function home(user: string): string {
  mkdirSync(join(store, user, 'cur'), {recursive: true});
  writeFileSync(join(store, user, 'cur', '1:2,S'), 'text');
  return join(store, user);
}

test('a mailbox is removed, and nobody else, whatever his name', async () => {
  home('ada');
  const others = [home('ada.discarded'), home('ada.'), home('adam')];
  expect(await mail.remove('ada')).toBe(4);
  expect([await mail.exists('ada'), others.every(existsSync), readdirSync(store)]).toEqual([
    false,
    true,
    ['ada.', 'ada.discarded', 'adam'],
  ]);
  expect(await mail.remove('ada')).toBe(0);
});

test("indexes and control files beside the home go with it, as far as they are in the store and the user's alone", async () => {
  const other = mkdtempSync(join(tmpdir(), 'mailherd-alt-'));
  try {
    home('ada');
    home('index/ada');
    symlinkSync(other, join(store, 'linked'));
    for (const path of [join(other, 'ada'), join(store, 'control')]) {
      mkdirSync(path);
      writeFileSync(join(path, 'dovecot-uidlist'), '');
    }
    // Empty, as Dovecot makes them of who is only asked for.
    mkdirSync(join(store, 'asked/ada/.INBOX'), {recursive: true});
    mkdirSync(join(other, 'asked'));
    const at = (path: string, root: string | null): {path: string; root: string | null} => ({path, root});
    const [index, alt, linked, control] = [join(store, 'index/ada'), join(other, 'ada'), join(store, 'linked/ada'), join(store, 'control')];
    outside = {
      mail: null,
      rest: [at(join(index, '.INBOX'), index), at(alt, alt), at(linked, linked), at(control, null), at('/none/ada', '/none/ada')],
    };
    const asked = [at(join(store, 'asked/ada/.INBOX'), join(store, 'asked/ada')), at(join(other, 'asked'), null)];
    outside.rest.push(...asked);
    const goes = [index, join(store, 'asked/ada')];
    const stays = [alt, linked, control];
    expect(await mail.outside('ada')).toEqual({mail: null, goes, stays});
    expect(await mail.remove('ada')).toBe(8);
    expect([existsSync(index), existsSync(alt), existsSync(control), await mail.exists('ada')]).toEqual([false, true, true, false]);
    expect(await mail.outside('ada')).toMatchObject({goes: []});
  } finally {
    rmSync(other, {recursive: true});
  }
});

test('a home or mail that lies elsewhere by a link is told, as long as anything is there: a removal would take the link alone', async () => {
  const other = mkdtempSync(join(tmpdir(), 'mailherd-other-disk-'));
  try {
    mkdirSync(join(other, 'ada/Maildir/cur'), {recursive: true});
    writeFileSync(join(other, 'ada/Maildir/cur/1'), 'text');
    symlinkSync(join(other, 'ada'), join(store, 'ada'));
    mkdirSync(join(store, 'ben'));
    symlinkSync(join(other, 'ada/Maildir'), join(store, 'ben/Maildir'));
    home('cleo');
    const stays = (user: string): Promise<unknown> => mail.outside(user).then(outside => outside.stays);
    expect(await Promise.all(['ada', 'ben', 'cleo', 'dan'].map(stays))).toEqual([
      [join(other, 'ada')],
      [join(other, 'ada/Maildir')],
      [],
      [],
    ]);
    rmSync(join(other, 'ada'), {recursive: true});
    expect(await Promise.all(['ada', 'ben'].map(stays))).toEqual([[], []]);
    expect([await mail.remove('ada'), readdirSync(store).sort()]).toEqual([0, ['ben', 'cleo']]);
  } finally {
    rmSync(other, {recursive: true});
  }
});

test('what an interrupted removal left goes with the next try', async () => {
  home('ada.DISCARDED');
  expect([await mail.exists('ada'), await mail.remove('ada'), readdirSync(store)]).toEqual([false, 0, []]);
});

test('what lies outside goes too when a removal was interrupted after the home', async () => {
  home('ada.DISCARDED');
  const index = home('index/ada');
  outside.rest.push({path: join(index, '.INBOX'), root: index});
  expect([await mail.remove('ada'), readdirSync(store), existsSync(index)]).toEqual([4, ['index'], false]);
});

test('a home that cannot be looked at is not an empty one', async () => {
  await expect(mail.exists('ada'.repeat(100))).rejects.toThrow('ENAMETOOLONG');
});

test('a name that leaves no room for a longer one is removed all the same', async () => {
  const [long, other] = ['a'.repeat(250), `${'a'.repeat(249)}b`];
  home(long);
  home(other);
  expect([await mail.remove(long), await mail.exists(long), readdirSync(store)]).toEqual([4, false, [other]]);
});

test('a pass that is broken off is over when its program has ended', async () => {
  const program = join(store, 'doveadm');
  const ended = join(store, 'ended');
  writeFileSync(program, `#!/bin/sh\ntrap 'touch ${ended}; exit 1' TERM\ntouch ${store}/begun\nwhile :; do sleep 0.01; done\n`);
  chmodSync(program, 0o755);
  const {PATH} = process.env;
  process.env.PATH = `${store}:${PATH}`;
  try {
    const end = new AbortController();
    const pass = mail.backup('ada', '127.0.0.1', false, end.signal);
    await vi.waitFor(() => expect(existsSync(join(store, 'begun'))).toBe(true), {timeout: 10_000});
    end.abort();
    await expect(pass).rejects.toMatchObject({code: 'COPY_FAILED'});
    expect(existsSync(ended)).toBe(true);
  } finally {
    process.env.PATH = PATH;
  }
});
