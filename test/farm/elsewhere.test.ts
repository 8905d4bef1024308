import {mkdirSync, writeFileSync} from 'node:fs';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {begin} from '../../bench/move/farm.io.ts';
import type {ApiAccess} from '../../farm/api.io.ts';
import {down, type Farm} from '../../farm/farm.io.ts';
import {makeLayout, type Release} from '../../farm/layout.ts';
import {runIn, tryRunIn} from '../../farm/machine/enter.io.ts';
import {ended, purgeMove, startMove} from '../../farm/moves.io.ts';
import {farmPaths, hostPaths} from '../../farm/paths.ts';

/** Needs root and what the farm needs: mailboxes whose indexes and control files are not in their homes. */
const backend = (name: string, release: Release, last: number) =>
  ({name, role: 'backend', release, last, labels: {}, isSpare: false}) as const;
const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-elsewhere'}),
  layout: makeLayout('mhfarm11', '10.213.81', 3, [
    {name: 'elct', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
    backend('el12', 'bookworm', 21),
    backend('el13', 'trixie', 22),
  ]),
  say: () => undefined,
};
const STORE = '/var/vmail';

let access: ApiAccess;
const shell = async (host: string, script: string, ...args: string[]): Promise<string> =>
  (await runIn(FARM.paths, host, ['sh', '-c', script, 'sh', ...args])).trim();
const count = async (host: string, path: string): Promise<number> =>
  Number((await tryRunIn(FARM.paths, host, ['sh', '-c', 'find "$1" -type f 2>/dev/null | wc -l', 'sh', path])).stdout);
const partOf = (user: string, part: 'index' | 'control', at = STORE): string => `${at}/${part}/${FARM.layout.domain}/${user.split('@')[0]}`;
const file = (user: string): Promise<string> =>
  shell(
    'el12',
    `for n in 1 2 3; do printf 'Subject: %s\\n\\nx\\n' $n | doveadm save -u "$1"; done; doveadm fetch -u "$1" 'uid guid' ALL`,
    user,
  );
const messages = (host: string, user: string): Promise<string> => shell(host, `doveadm fetch -u "$1" 'uid guid' ALL`, user);

/** Has both Dovecots keep indexes in the store, and control files below `controlAt`. */
async function keepElsewhere(controlAt: string): Promise<void> {
  const location23 = `mail_location = maildir:~/Maildir:INDEX=${STORE}/index/%d/%n:CONTROL=${controlAt}/control/%d/%n\n`;
  const name24 = '%{user | domain}/%{user | username}';
  const location24 = `mail_index_path = ${STORE}/index/${name24}\nmail_control_path = ${controlAt}/control/${name24}\n`;
  for (const [host, text] of [
    ['el12', location23],
    ['el13', location24],
  ] as const) {
    mkdirSync(`${hostPaths(FARM.paths, host).root}/etc/dovecot`, {recursive: true});
    writeFileSync(`${hostPaths(FARM.paths, host).root}/etc/dovecot/local.conf`, text);
    await shell(
      host,
      `mkdir -p ${STORE}/index ${controlAt}/control && chown 5000:5000 ${STORE}/index ${controlAt}/control && systemctl restart dovecot`,
    );
  }
}

beforeAll(async () => {
  access = await begin(FARM, false);
});
afterAll(() => down(FARM));

it('what is in the store and the user’s alone moves and is removed with the home, to and fro', async () => {
  await keepElsewhere(STORE);
  const user = `ada.el12@${FARM.layout.domain}`;
  const neighbour = `ben.el12@${FARM.layout.domain}`;
  const before = await file(user);
  await file(neighbour);
  expect(await count('el12', partOf(user, 'control'))).toBeGreaterThan(0);
  let at = 'el12';
  for (const target of ['el13', 'el12']) {
    const id = await startMove(access, user, target);
    expect(await ended(access, id, 60_000)).toMatchObject({step: 'retained', refusal: null});
    expect(await messages(target, user)).toBe(before);
    expect(await purgeMove(access, id)).toMatchObject({step: 'purged', refusal: null});
    expect([await count(at, partOf(user, 'control')), await count(at, partOf(user, 'index'))]).toEqual([0, 0]);
    at = target;
  }
  expect(await messages(at, user)).toBe(before);
  expect(await count('el12', partOf(neighbour, 'control'))).toBeGreaterThan(0);
});

it('what is outside of the store moves where the mover may write to it, but its purge is refused and names it', async () => {
  await keepElsewhere('/srv');
  for (const host of ['el12', 'el13']) {
    const folder = `${hostPaths(FARM.paths, host).root}/etc/systemd/system/mailherd-mover.service.d`;
    mkdirSync(folder, {recursive: true});
    writeFileSync(`${folder}/store.conf`, '[Service]\nReadWritePaths=/srv\n');
    await shell(host, 'systemctl daemon-reload; systemctl stop mailherd-mover.service');
  }
  const user = `cleo.el12@${FARM.layout.domain}`;
  await file(user);
  const id = await startMove(access, user, 'el13');
  expect(await ended(access, id, 60_000)).toMatchObject({step: 'retained', refusal: null});
  expect(await purgeMove(access, id)).toMatchObject({refusal: {code: 'MAIL_ELSEWHERE'}});
  expect(await count('el12', partOf(user, 'control', '/srv'))).toBeGreaterThan(0);
});
