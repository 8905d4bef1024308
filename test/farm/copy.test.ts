import {existsSync, mkdtempSync} from 'node:fs';
import {appendFile, readdir, readFile, rm, stat, truncate, utimes, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {parseTab} from '../../agent/move/tab.ts';
import {begin, FORMATS, moveFarm} from '../../bench/move/farm.io.ts';
import {fillMaildir} from '../../bench/move/mailbox.io.ts';
import {type ApiAccess, call} from '../../farm/api.io.ts';
import {down} from '../../farm/farm.io.ts';
import {users} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {readCorpus} from '../../farm/mail/corpus.io.ts';
import {homeOf, writeOwned} from '../../farm/mail/owned.io.ts';
import {trapStep} from '../../farm/matrix/trap.io.ts';
import {hostPaths} from '../../farm/paths.ts';
import {run} from '../../farm/run.io.ts';
import {MovesView, PlanView, UserView} from '../../wire/api.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {Route} from '../../wire/route.ts';
import {eventually} from './smoke.ts';

/** Needs root and what the farm needs. Two hosts of each release; mailboxes are moved with the project's own package. */
const FARM = moveFarm(() => undefined);
const CONTROL = FARM.layout.hosts.find(({role}) => role === 'control');
const MESSAGES = 2_000;
let access: ApiAccess;

beforeAll(async () => {
  access = await begin(FARM);
});

afterAll(() => down(FARM));

const inHost = (host: string, ...command: string[]): Promise<string> => runIn(FARM.paths, host, command);
const storeOf = (host: string): string => hostPaths(FARM.paths, host).store;

/** A user of `host` whose mailbox Dovecot knows. */
async function filled(host: string, index: number): Promise<string> {
  const user = users(FARM.layout).filter(each => each.host === host)[index]?.user ?? '';
  await fillMaildir(`${homeOf(storeOf(host), user)}/Maildir`, MESSAGES, await readCorpus(2_000), index);
  await inHost(host, 'doveadm', 'mailbox', 'status', '-u', user, 'guid messages vsize', '*');
  return user;
}

/** Writes his maildir anew as what his Dovecot keeps. */
async function inOwnFormat(host: string, user: string): Promise<void> {
  await inHost(host, 'doveadm', 'backup', '-R', '-u', user, 'maildir:~/Maildir');
  await rm(`${homeOf(storeOf(host), user)}/Maildir`, {recursive: true});
}

/** Has the mailbox moved while these work in it; they come to an end before its copying goes on: no hold keeps doveadm from writing. */
async function moveWhile(user: string, target: string, ...work: readonly ((isSeeded: () => boolean) => Promise<void>)[]): Promise<void> {
  if (CONTROL === undefined) throw new Error('no control host');
  let isSeeded = false;
  const trapping = trapStep(FARM, {host: CONTROL.name, address: CONTROL.address}, user, 'copying', 0, () => void beginMove(user, target));
  const ended = trapping.finally(() => {
    isSeeded = true;
  });
  try {
    await Promise.all(work.map(each => each(() => isSeeded)));
  } finally {
    (await ended)?.release();
  }
}

/** A mail program that files and flags. */
async function changeWhileSeeding(source: string, user: string, isSeeded: () => boolean): Promise<void> {
  for (let turn = 1; !isSeeded() || turn < 5; turn++) {
    const change = turn % 2 === 0 ? 'remove' : 'add';
    await inHost(source, 'doveadm', 'flags', change, '-u', user, '\\Flagged $New', 'mailbox', 'INBOX', 'uid', `${turn}:${turn * 40}`);
    await inHost(source, 'doveadm', 'expunge', '-u', user, 'mailbox', 'Sent', 'uid', `${turn * 7}`);
  }
}

async function beginMove(user: string, target: string): Promise<void> {
  await call(access, 'POST', '/v1/moves', PlanView, {user, target});
}

async function moveOf(user: string): Promise<MoveRecord | undefined> {
  return (await call(access, 'GET', '/v1/moves', MovesView)).moves.find(each => each.user === user);
}

async function ended(user: string): Promise<MoveRecord> {
  const record = await eventually(60_000, async () => {
    const found = await moveOf(user);
    return found !== undefined && ['retained', 'backedOut'].includes(found.step) ? found : null;
  });
  if (record === null) throw new Error(`the move of ${user} does not end`);
  return record;
}

/** Every message with its whole text, a line each. */
async function everything(host: string, user: string): Promise<string[]> {
  const rows = parseTab(await inHost(host, 'doveadm', '-f', 'tab', 'fetch', '-u', user, 'mailbox uid guid date.received flags', 'ALL'));
  const described = rows.map(({flags = '', ...row}) => {
    const kept = flags.split(' ').filter(flag => flag !== '' && flag !== '\\Recent');
    return [...Object.values(row), ...kept.sort()].join(' ');
  });
  // Long texts in columns: doveadm puts a blank in where a buffer of its own ends, now here, now there.
  const texts = await inHost(host, 'doveadm', '-f', 'pager', 'fetch', '-u', user, 'mailbox uid text', 'ALL');
  return [
    ...described,
    ...texts
      .replaceAll('\r', '')
      .split('\f')
      .map(text => text.trim()),
  ].sort();
}

/** Logged by the target's mover. */
async function seedsAt(host: string, user: string): Promise<number> {
  const log = await inHost(host, 'journalctl', '--unit=mailherd-mover', '--output=cat', '--no-pager');
  return log.split('\n').filter(line => line.includes('a seed has arrived') && line.includes(`"${user}"`)).length;
}

describe('a maildir goes as a seed', () => {
  it.each([
    ['2.3', '2.3', 'm12a', 'm12b'],
    ['2.4', '2.4', 'm13a', 'm13b'],
    ['2.3', '2.4', 'm12a', 'm13b'],
    ['2.4', '2.3', 'm13a', 'm12b'],
  ])('from Dovecot %s to %s, with all it is, while it changes', async (_from, _to, source, target) => {
    const user = await filled(source, target.endsWith('b') && source.slice(0, 3) === target.slice(0, 3) ? 0 : 1);
    await moveWhile(user, target, isSeeded => changeWhileSeeding(source, user, isSeeded));
    const record = await ended(user);
    expect(record).toMatchObject({step: 'retained', refusal: null});
    expect(await seedsAt(target, user)).toBe(1);
    expect(await everything(target, user)).toEqual(await everything(source, user));
  });
});

describe('sdbox and mdbox go as a seed between hosts of one release', () => {
  it.each([
    ['sdbox', '2.3', 'm12a', 'm12b'],
    ['mdbox', '2.3', 'm12a', 'm12b'],
    ['sdbox', '2.4', 'm13a', 'm13b'],
    ['mdbox', '2.4', 'm13a', 'm13b'],
  ] as const)('%s, Dovecot %s, with all it is, while it changes', async (format, _release, source, target) => {
    const index = users(FARM.layout)
      .filter(({host}) => host === source)
      .findIndex(each => each.user.startsWith(`${FORMATS[format]}.`));
    const user = await filled(source, index);
    await inOwnFormat(source, user);
    await moveWhile(
      user,
      target,
      isSeeded => changeWhileSeeding(source, user, isSeeded),
      isSeeded => saveAndPurge(source, user, isSeeded),
    );
    expect(await ended(user)).toMatchObject({step: 'retained', refusal: null});
    expect(await seedsAt(target, user)).toBe(1);
    const sent = await everything(source, user);
    expect(await everything(target, user)).toEqual(sent);
    // Nothing lies in the files that no index names: making the indexes anew from the files would bring it back.
    await inHost(target, 'doveadm', 'force-resync', '-u', user, '*');
    expect(await everything(target, user)).toEqual(sent);
  });

  async function saveAndPurge(source: string, user: string, isSeeded: () => boolean): Promise<void> {
    const script = `printf 'Subject: %s\\n\\nnew\\n' "$2" | doveadm save -u "$1" -m INBOX; doveadm purge -u "$1"`;
    for (let turn = 1; !isSeeded() || turn < 3; turn++) await inHost(source, 'sh', '-c', script, 'sh', user, `${turn}`);
  }
});

describe('a power cut of the target right after the flip', () => {
  /** The mail store as it is on disk at this moment: what only the page cache knows is not in it. */
  async function onDisk(host: string, user: string): Promise<string[]> {
    const directory = mkdtempSync(join(tmpdir(), 'power-cut-'));
    try {
      await run(['cp', '--sparse=always', hostPaths(FARM.paths, host).storeImage, `${directory}/store.img`]);
      await run(['mkdir', `${directory}/store`]);
      await run(['mount', '-o', 'loop', `${directory}/store.img`, `${directory}/store`]);
      const home = homeOf(`${directory}/store`, user);
      return existsSync(home) ? await contents(home) : [];
    } finally {
      await run(['umount', `${directory}/store`]);
      await rm(directory, {recursive: true});
    }
  }

  /** Name without flags and digest of every message file. */
  async function contents(home: string): Promise<string[]> {
    const text = await run([
      'sh',
      '-c',
      'cd "$1" && find . -type f \\( -path "*/cur/*" -o -path "*/new/*" \\) -exec sha256sum {} +',
      'sh',
      home,
    ]);
    return text
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.replace(/:2,.*$/, '').replace(/\/(cur|new)\//, '/'))
      .sort();
  }

  it.each([
    ['m12a', 'm12b'],
    ['m13a', 'm13b'],
  ])('loses nothing: %s -> %s', async (source, target) => {
    const user = await filled(source, 2);
    await beginMove(user, target);
    const isFlipped = await eventually(60_000, async () => {
      const step = (await moveOf(user))?.step ?? '';
      return ['adopting', 'retaining', 'retained'].includes(step);
    });
    expect(isFlipped).toBe(true);
    const left = await onDisk(target, user);
    expect(left.length).toBe(MESSAGES);
    expect(left).toEqual(await contents(homeOf(storeOf(source), user)));
  });

  it('would lose what was not put on disk: the check can fail', async () => {
    const user = users(FARM.layout).find(({host}) => host === 'm12b')?.user ?? '';
    const home = homeOf(storeOf('m12b'), user);
    await fillMaildir(`${home}/Maildir`, MESSAGES, await readCorpus(2_000), 3);
    const left = await onDisk('m12b', user);
    expect(left).not.toEqual(await contents(home));
  });
});

describe('what is odd is refused with its reason, and stays as it is', () => {
  async function added(user: string, host: string): Promise<string> {
    await call(access, 'POST', '/v1/users', Route, {user, host});
    return user;
  }

  async function refusedAs(user: string, target: string, begins = true): Promise<MoveRecord> {
    if (begins) await beginMove(user, target);
    const record = await ended(user);
    expect(record.step).toBe('backedOut');
    expect((await call(access, 'GET', `/v1/users/${encodeURIComponent(user)}`, UserView)).host).toBe(record.source);
    return record;
  }

  it.each(['-rf@farm.example', 'a*b@farm.example', 'a/../b@farm.example', '"a b"@farm.example'])(
    'no user is made with the name %s',
    async user => {
      await expect(added(user, 'm12a')).rejects.toThrow(/INPUT_INVALID/);
    },
  );

  it.each([
    ['m12a', 'm12b'],
    ['m13a', 'm13b'],
  ])('names that Dovecot of %s does not serve', async (source, target) => {
    for (const name of ['ada+tag', "o'brien", 'zoë']) {
      const record = await refusedAs(await added(`${name}.${source}@farm.example`, source), target);
      expect(record.refusal?.code).toBe('USER_UNSERVED');
    }
  });

  it('a name of 255 bytes moves like any other', async () => {
    const user = await added(`${'x'.repeat(255 - '@farm.example'.length)}@farm.example`, 'm12a');
    await inHost('m12a', 'sh', '-c', 'printf "Subject: long\\n\\nname\\n" | doveadm save -u "$1"', 'sh', user);
    await beginMove(user, 'm13b');
    expect(await ended(user)).toMatchObject({step: 'retained', verified: {messages: 1}});
  });

  it('a text that is damaged in the copy is found, and named', async () => {
    const user = await filled('m12a', 3);
    const home = `${homeOf(storeOf('m12b'), user)}/Maildir/cur`;
    if (CONTROL === undefined) throw new Error('no control host');
    const trapped = await trapStep(
      FARM,
      {host: CONTROL.name, address: CONTROL.address},
      user,
      'copying',
      0,
      () => void beginMove(user, 'm12b'),
    );
    // Else the seed would come anew without the mover that takes it.
    const moves = `${hostPaths(FARM.paths, 'm12b').root}/var/lib/mailherd/agent/moves.json`;
    const isStored = async (): Promise<boolean> => {
      const {copies} = JSON.parse(await readFile(moves, 'utf8')) as {copies: {user: string; seed?: string}[]};
      return copies.some(copy => copy.user === user && copy.seed === 'closed');
    };
    expect(await eventually(30_000, isStored)).toBe(true);
    const [first = ''] = (await readdir(home)).sort();
    const text = await readFile(`${home}/${first}`);
    text.writeUInt8((text.at(-2) ?? 0) ^ 1, text.length - 2);
    const {atime, mtime} = await stat(`${home}/${first}`);
    await writeFile(`${home}/${first}`, text);
    await utimes(`${home}/${first}`, atime, mtime);
    // It had read that text when it came.
    await inHost('m12b', 'systemctl', 'stop', 'mailherd-mover.service');
    trapped?.release();
    const record = await ended(user);
    expect(record).toMatchObject({step: 'backedOut', refusal: {code: 'MANIFEST_DIFFERS'}});
    const {differences} = (record.refusal?.detail ?? {differences: []}) as {
      differences: {what: string; source: string | null; target: string | null}[];
    };
    expect(differences.map(({what}) => what)).toContain('texts');
    const messages = differences.filter(({what}) => what === 'message');
    expect(messages).toHaveLength(1);
    // Nothing but the text differs.
    const withoutText = (line: string | null | undefined): string | undefined => line?.slice(0, line.lastIndexOf(' '));
    expect(withoutText(messages[0]?.source)).toBe(withoutText(messages[0]?.target));
  });

  it.each([
    ['m12a', 'm12b'],
    ['m13a', 'm13b'],
    ['m12a', 'm13b'],
    ['m13a', 'm12b'],
  ])(
    'message files that are not as long as their names say, %s -> %s: refused and told which, nothing of them changed',
    async (source, target) => {
      const user = await filled(source, target.slice(0, 3) === source.slice(0, 3) ? 11 : 8);
      const cur = `${homeOf(storeOf(source), user)}/Maildir/cur`;
      const names = (await readdir(cur)).sort();
      const [short = '', long = ''] = [names[0], names.at(-1)];
      await truncate(`${cur}/${short}`, 100);
      await appendFile(`${cur}/${long}`, 'more of it\n');
      const record = await refusedAs(user, target);
      expect(record.refusal).toMatchObject({code: 'MESSAGE_UNREADABLE', detail: {folder: 'INBOX', uid: 1, messages: 2}});
      expect((await readdir(cur)).sort()).toEqual(names);
    },
  );

  it.each([
    ['m12a', 'm13b'],
    ['m13a', 'm12b'],
  ])('an index of garbage, %s -> %s: Dovecot makes it anew, everything moves', async (source, target) => {
    const user = await filled(source, 9);
    await writeOwned(`${homeOf(storeOf(source), user)}/Maildir/dovecot.index`, 'garbage '.repeat(64));
    await beginMove(user, target);
    expect(await ended(user)).toMatchObject({step: 'retained', verified: {messages: MESSAGES}});
    expect(await everything(target, user)).toEqual(await everything(source, user));
  });

  it('who never had mail moves as an empty mailbox', async () => {
    await beginMove(await added('nothing.m12a@farm.example', 'm12a'), 'm13b');
    expect(await ended('nothing.m12a@farm.example')).toMatchObject({step: 'retained', refusal: null, verified: {messages: 0}});
  });

  it('a mailbox that does not fit is refused by the plan, or by the target, and stays', async () => {
    const user = await filled('m13a', 10);
    const before = await everything('m13a', user);
    const filler = '/var/vmail/filler';
    await inHost('m13b', 'sh', '-c', `fallocate -l $(($(stat -f -c '%a * %S' /var/vmail) - 1000000)) ${filler}`);
    try {
      // Whether the plan knows it yet is a matter of when the host last reported.
      const reason = await beginMove(user, 'm13b').then(async () => (await refusedAs(user, 'm13b', false)).refusal?.code, String);
      expect(reason).toMatch(/SPACE/);
    } finally {
      await inHost('m13b', 'rm', filler);
    }
    expect(await everything('m13a', user)).toEqual(before);
    expect((await call(access, 'GET', `/v1/users/${encodeURIComponent(user)}`, UserView)).host).toBe('m13a');
  });

  it('nobody moves twice at once, nobody unknown, nobody to where he is', async () => {
    const user = await filled('m13b', 3);
    await expect(beginMove('nobody@farm.example', 'm12a')).rejects.toThrow(/USER_UNKNOWN/);
    await expect(beginMove(user, 'm99')).rejects.toThrow(/HOST_UNKNOWN/);
    await beginMove(user, 'm13a');
    await expect(beginMove(user, 'm12a')).rejects.toThrow(/MOVE_IN_PROGRESS/);
    expect((await ended(user)).step).toBe('retained');
    await expect(beginMove(user, 'm13a')).rejects.toThrow(/API_FAILED/);
  });
});
