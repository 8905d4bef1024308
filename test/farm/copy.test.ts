import {existsSync, mkdtempSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {parseTab} from '../../agent/move/tab.ts';
import {begin, moveFarm} from '../../bench/move/farm.io.ts';
import {fillMaildir} from '../../bench/move/mailbox.io.ts';
import {type ApiAccess, call} from '../../farm/api.io.ts';
import {down} from '../../farm/farm.io.ts';
import {users} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {readCorpus} from '../../farm/mail/corpus.io.ts';
import {homeOf} from '../../farm/mail/owned.io.ts';
import {hostPaths} from '../../farm/paths.ts';
import {run} from '../../farm/run.io.ts';
import {MovesView, PlanView} from '../../wire/api.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {eventually} from './smoke.ts';

/** Needs root and what the farm needs. Two hosts of each release; mailboxes are moved with the project's own package. */
const FARM = moveFarm(() => undefined);
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
  const text = await inHost(host, 'doveadm', '-f', 'tab', 'fetch', '-u', user, 'mailbox uid guid date.received flags text', 'ALL');
  return parseTab(text)
    .map(({flags = '', ...row}) => {
      const kept = flags.split(' ').filter(flag => flag !== '' && flag !== '\\Recent');
      return [...Object.values(row), ...kept.sort()].join(' ');
    })
    .sort();
}

/** Logged by the target's agent. */
async function seedsAt(host: string, user: string): Promise<number> {
  const log = await inHost(host, 'journalctl', '--unit=mailherd-agent', '--output=cat', '--no-pager');
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
    await beginMove(user, target);
    for (let turn = 1; (await moveOf(user))?.step === 'seeding' || turn < 5; turn++) {
      await inHost(
        source,
        'doveadm',
        'flags',
        turn % 2 === 0 ? 'remove' : 'add',
        '-u',
        user,
        '\\Flagged $New',
        'mailbox',
        'INBOX',
        'uid',
        `${turn}:${turn * 40}`,
      );
      await inHost(source, 'doveadm', 'expunge', '-u', user, 'mailbox', 'Sent', 'uid', `${turn * 7}`);
    }
    const record = await ended(user);
    expect(record).toMatchObject({step: 'retained', refusal: null});
    expect(await seedsAt(target, user)).toBe(1);
    expect(await everything(target, user)).toEqual(await everything(source, user));
  });
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
