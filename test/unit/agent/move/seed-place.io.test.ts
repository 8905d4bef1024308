import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import {MailPlaces, refuseShared} from '../../../../agent/move/seed-place.io.ts';

let store: string;

beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'mailherd-homes-'));
});
afterEach(() => rmSync(store, {recursive: true}));

function write(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(store, file)), {recursive: true});
    writeFileSync(join(store, file), '');
  }
}

const refuse = (home: string, inbox: string): Promise<void> => refuseShared('user', join(store, home), join(store, inbox));

test('a home with homes of others in it is refused, whatever lies there of his own', async () => {
  write('example.org/ada/Maildir/dovecot-uidvalidity', 'example.org/notes/text');
  await expect(refuse('example.org', 'example.org/Maildir')).rejects.toThrow('HOME_SHARED');
  write('example.org/Maildir/dovecot-uidvalidity', 'example.org/Maildir/cur/1');
  await expect(refuse('example.org', 'example.org/Maildir')).rejects.toThrow('HOME_SHARED');
  await refuse('example.org/ada', 'example.org/ada/Maildir');
});

test('so is one whose mail lies right in it, as theirs does in theirs', async () => {
  write('example.org/ada/dovecot-uidvalidity', 'example.org/ada/cur/1', 'example.org/ada/Lists/cur/1', 'example.org/ada/.Sent/cur/1');
  await expect(refuse('example.org', 'example.org')).rejects.toThrow('HOME_SHARED');
  await refuse('example.org/ada', 'example.org/ada');
});

test('a home with scripts, folders and indexes, or none yet, is his alone', async () => {
  write(
    'ada/mdbox/dovecot-uidvalidity',
    'ada/mdbox/mailboxes/INBOX/dbox-Mails/dovecot.index',
    'ada/sieve/a.sieve',
    'ada/.backup/mdbox/dovecot-uidvalidity',
  );
  await refuse('ada', 'ada/mdbox/mailboxes/INBOX/dbox-Mails');
  await refuse('ben', 'ben/Maildir');
});

/** What Dovecot says of a user, and of the directories of his INBOX. */
class Told extends DoveadmServer {
  readonly asked: string[] = [];
  readonly #fields: Record<string, string>;
  readonly #paths: Record<string, string>;

  constructor(fields: Record<string, string>, paths: Record<string, string>) {
    super('/none');
    this.#fields = fields;
    this.#paths = paths;
  }

  override async fields(): Promise<ReadonlyMap<string, string>> {
    return new Map(Object.entries(this.#fields));
  }

  override async value(_user: string, command: readonly string[]): Promise<string> {
    this.asked.push(command.join(' '));
    return this.#paths[command[2] ?? ''] ?? '';
  }
}

class Places extends MailPlaces {
  readonly #doveconf: string;

  constructor(server: DoveadmServer, doveconf: string) {
    super('/srv/vmail', server);
    this.#doveconf = doveconf;
  }

  override async settings(): Promise<string> {
    return this.#doveconf;
  }
}

const USER = 'ada@example.org';
const HOME = '/srv/vmail/example.org/ada';
const MAIL = `${HOME}/Maildir`;
const FIELDS = {home: HOME, uid: '5000', gid: '5000'};
const [OLD, NEW] = ['# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf\n', '# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf\n'];
const TOGETHER = {mailbox: MAIL, control: MAIL, index: MAIL, 'index-cache': MAIL};

test('each directory is asked for once; caches only of a doveadm that can tell', async () => {
  for (const [doveconf, types] of [
    [OLD, 'mailbox control index alt-mailbox'],
    [NEW, 'mailbox control index alt-mailbox index-cache'],
  ] as const) {
    const server = new Told(FIELDS, TOGETHER);
    const place = await new Places(server, doveconf).of(USER);
    expect(place).toMatchObject({home: HOME, inbox: MAIL, format: 'maildir', root: MAIL, outside: {mail: null, rest: []}});
    expect(server.asked).toEqual(types.split(' ').map(type => `mailbox path -t ${type} INBOX`));
  }
});

test.each([
  ['by the settings', OLD, 'mail_location = maildir:~/Maildir:INDEXCACHE=/srv/vmail/cache/%d/%n\n', {}, '/srv/vmail/cache/example.org/ada'],
  [
    'by those of a namespace',
    OLD,
    'namespace inbox {\n  location = maildir:~/Maildir:INDEXCACHE=/srv/vmail/cache/%u:VOLATILEDIR=/run/%u\n}\n',
    {},
    '/srv/vmail/cache/ada@example.org',
  ],
  [
    'by the user database',
    OLD,
    'mail_location = maildir:~/Maildir\n',
    {mail: `maildir:~/Maildir:INDEXCACHE=/srv/vmail/cache/${USER}`},
    `/srv/vmail/cache/${USER}`,
  ],
  ['by Dovecot', NEW, '', {}, '/srv/vmail/cache/ada@example.org'],
])('caches elsewhere are the user’s too, %s, and stand in the way of no seed', async (_by, release, settings, fields, root) => {
  const cache = `${root}/.INBOX`;
  const place = await new Places(new Told({...FIELDS, ...fields}, {...TOGETHER, 'index-cache': cache}), release + settings).of(USER);
  expect(place).toMatchObject({format: 'maildir', outside: {mail: null, rest: [{root}]}});
});

test.each([
  ['in the home', 'mail_location = maildir:~/Maildir:INDEXCACHE=~/cache\n', {}],
  ['nobody knows where', 'mail_location = maildir:~/Maildir:INDEXCACHE=/srv/vmail/cache/%1Mu/%u\n', {}],
  ['not of this user', 'mail_location = maildir:~/Maildir:INDEXCACHE=/srv/vmail/cache/%u\n', {mail: 'maildir:~/Maildir'}],
])('caches that are %s are not looked for', async (_where, settings, fields) => {
  const place = await new Places(new Told({...FIELDS, ...fields}, TOGETHER), OLD + settings).of(USER);
  expect(place.outside).toEqual({mail: null, rest: []});
});

test('indexes in memory are nowhere, and no seed goes without', async () => {
  const place = await new Places(new Told(FIELDS, {...TOGETHER, index: ''}), OLD).of(USER);
  expect(place).toMatchObject({inbox: MAIL, format: null, outside: {mail: null, rest: []}});
});
