import {readFile, writeFile} from 'node:fs/promises';
import Type from 'typebox';
import {type ApiAccess, call} from '../../farm/api.io.ts';
import {apiAccess, enrolAll} from '../../farm/enrol.io.ts';
import {down, type Farm, up} from '../../farm/farm.io.ts';
import {type HostSpec, makeLayout, type Release} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {buildPackage} from '../../farm/package.io.ts';
import {farmPaths, hostPaths} from '../../farm/paths.ts';
import {HostView, PolicyView} from '../../wire/api.ts';

function backend(name: string, release: Release, last: number): Omit<HostSpec, 'address'> & {last: number} {
  return {name, role: 'backend', release, last, labels: {}, isSpare: false};
}

/** A farm for measuring moves, beside any other on this machine: two hosts of each release, so that every pair of versions is there. */
export function moveFarm(say: (line: string) => void, usersPerBackend = 18): Farm {
  return {
    paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mhfarm-bench/move'}),
    layout: makeLayout('mhfarm7', '10.213.87', usersPerBackend, [
      {name: 'mctl', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
      {name: 'medge', role: 'edge', release: 'bookworm', last: 11, labels: {}, isSpare: false},
      backend('m12a', 'bookworm', 21),
      backend('m12b', 'bookworm', 22),
      backend('m13a', 'trixie', 23),
      backend('m13b', 'trixie', 24),
    ]),
    say,
  };
}

const ACTIVE_TIMEOUT_MS = 120_000;

/**
 * Builds the package, and brings the farm up with it and empty mailboxes. @param hasFormats some users have other formats (`FORMATS`).
 * @returns when every host may take mailboxes.
 */
export async function begin(farm: Farm, hasFormats = true): Promise<ApiAccess> {
  const deb = await buildPackage();
  await down(farm);
  await up(farm, {deb, isFilled: false});
  for (const {name, role, release} of farm.layout.hosts) if (hasFormats && role === 'backend') await allowFormats(farm, name, release);
  await enrolAll(farm);
  const access = await apiAccess(farm);
  const {policy, revision} = await call(access, 'GET', '/v1/policy', PolicyView);
  // Nothing moves but what is asked for.
  const modes = {cordon: 'off', evacuate: 'off', reinstall: 'off', rebalance: 'off', purge: 'off'} as const;
  // On a busy machine hosts fall behind each other by chance; none of them is the sick one here.
  const floors = Object.fromEntries(
    Object.entries(policy.judge.floors).map(([name, floor]) => [name, name.endsWith('Share') ? 1 : floor * 100]),
  );
  const judge = {...policy.judge, warmUpMs: 1_000, recoverDwellMs: 1_000, ratioMax: 1_000, floors: floors as typeof policy.judge.floors};
  await call(access, 'PUT', '/v1/policy', PolicyView, {
    policy: {...policy, modes, judge, host: {...policy.host, probationMs: 1_000}, move: {...policy.move, quietMs: 5_000}},
    revision,
  });
  const endMs = performance.now() + ACTIVE_TIMEOUT_MS;
  for (;;) {
    const backends = (await call(access, 'GET', '/v1/hosts', Type.Array(HostView))).filter(({record}) => record.role === 'backend');
    if (backends.every(({record}) => record.stage === 'active')) return access;
    if (performance.now() > endMs) throw new Error('the hosts do not become active');
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

/** Formats of mailboxes, by the given names of their users in the farm (farm/layout.ts); everybody else has a maildir. */
export const FORMATS = {sdbox: 'eva', mdbox: 'finn'} as const;

/** The format of that user's mailbox: `finn.m13a@...` and `finn2.m13a@...` have mdbox. */
export function formatOf(user: string): 'maildir' | keyof typeof FORMATS {
  const given = /^[a-z]+/.exec(user)?.[0];
  return given === FORMATS.sdbox ? 'sdbox' : given === FORMATS.mdbox ? 'mdbox' : 'maildir';
}

/** Has the user database name another format for those users. */
async function allowFormats({paths}: Farm, host: string, release: Release): Promise<void> {
  const file = release === 'bookworm' ? '/etc/dovecot/mailherd-sql.conf.ext' : '/etc/dovecot/mailherd.conf';
  const name = release === 'bookworm' ? '%n' : '%{user | username}';
  const choose = (value: (format: string) => string): string =>
    `CASE ${Object.entries(FORMATS)
      .map(([format, given]) => `WHEN '${name}' GLOB '${given}*.????' THEN '${value(format)}'`)
      .join(' ')} END`;
  const fields =
    release === 'bookworm'
      ? `${choose(format => `${format}:~/${format}`)} AS mail, `
      : `${choose(format => format)} AS mail_driver, ${choose(format => `~/${format}`)} AS mail_path, `;
  const path = `${hostPaths(paths, host).root}${file}`;
  const text = await readFile(path, 'utf8');
  const changed = text.replace(' AS home, ', ` AS home, ${fields}`);
  if (changed === text) throw new Error(`${file} of ${host} has no user query that is known here`);
  await writeFile(path, changed);
  await runIn(paths, host, ['systemctl', 'restart', 'dovecot']);
}
