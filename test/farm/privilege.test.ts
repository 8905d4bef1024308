import {readFileSync, writeFileSync} from 'node:fs';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {begin} from '../../bench/move/farm.io.ts';
import {type ApiAccess, call} from '../../farm/api.io.ts';
import {down, type Farm} from '../../farm/farm.io.ts';
import {makeLayout, type Release} from '../../farm/layout.ts';
import {runIn, tryRunIn} from '../../farm/machine/enter.io.ts';
import {farmPaths, hostPaths} from '../../farm/paths.ts';
import {HostView, MovesView, PlanView} from '../../wire/api.ts';
import {eventually} from './smoke.ts';

/** Needs root and what the farm needs: what agent and mover may do on a host of each release, and when there is a mover. */
const backend = (name: string, release: Release, last: number) =>
  ({name, role: 'backend', release, last, labels: {}, isSpare: false}) as const;
const HOSTS = ['pr12', 'pr13'] as const;
const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-privilege'}),
  layout: makeLayout('mhfarm10', '10.213.80', 3, [
    {name: 'prct', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
    backend('pr12', 'bookworm', 21),
    backend('pr13', 'trixie', 22),
  ]),
  say: () => undefined,
};
const IDLE_MS = 8_000;
const WAIT_MS = 90_000;
/** Bits of capabilities(7). */
const CAP = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  DAC_READ_SEARCH: 2,
  FOWNER: 3,
  FSETID: 4,
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
  SYS_CHROOT: 18,
  SYS_PTRACE: 19,
};
const [CAP_SYS_RESOURCE, CAP_SYSLOG] = [24, 34];
const AGENT_MAY = [CAP.DAC_READ_SEARCH, CAP.SYS_PTRACE, CAP_SYS_RESOURCE, CAP_SYSLOG];

let access: ApiAccess;
const shell = async (host: string, script: string, ...args: string[]): Promise<string> =>
  (await runIn(FARM.paths, host, ['sh', '-c', script, 'sh', ...args])).trim();
const tried = async (host: string, script: string): Promise<string> =>
  (await tryRunIn(FARM.paths, host, ['sh', '-c', script])).stdout.trim();
const stateOf = (host: string): Promise<string> => tried(host, 'systemctl is-active mailherd-mover.service');
const pidOf = (host: string, unit: string): Promise<string> => shell(host, `systemctl show -P MainPID ${unit}`);

/** Of the unit's main process: user, and sets of capabilities as bits. */
async function rightsOf(host: string, unit: string): Promise<{user: string; effective: number[]; bounding: number[]; noNew: string}> {
  const text = await shell(host, 'cat /proc/$(systemctl show -P MainPID "$1")/status', unit);
  const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(text)?.[1] ?? '';
  const bits = (name: string): number[] => {
    const set = BigInt(`0x${field(name)}`);
    return Array.from({length: 64}, (_, bit) => bit).filter(bit => ((set >> BigInt(bit)) & 1n) === 1n);
  };
  return {
    user: await shell(host, 'id -nu "$1"', field('Uid')),
    effective: bits('CapEff'),
    bounding: bits('CapBnd'),
    noNew: field('NoNewPrivs'),
  };
}

async function move(user: string, target: string): Promise<string> {
  await call(access, 'POST', '/v1/moves', PlanView, {user, target});
  const latest = async (): Promise<string | undefined> => {
    const {moves} = await call(access, 'GET', '/v1/moves', MovesView);
    return moves.filter(each => each.user === user).sort((a, b) => b.createdAtMs - a.createdAtMs)[0]?.step;
  };
  await eventually(WAIT_MS, async () => ['retained', 'backedOut', 'purged'].includes((await latest()) ?? ''));
  return (await latest()) ?? 'none';
}

/** A call that lasts, as somebody of the host: prints each line it hears. */
const CALL = `
const [path, user] = process.argv.slice(1);
const socket = require('net').connect(path);
socket.on('error', error => { console.log(error.code); process.exit(); });
socket.on('close', () => { console.log('closed'); process.exit(); });
require('readline').createInterface({input: socket}).on('line', line => {
  console.log(line);
  if (line.includes('ready')) socket.write(JSON.stringify({method: 'offer', request: {user, address: '127.0.0.1', bytesMax: 1}}) + '\\n');
});`;
const lasting = (host: string, unit: string, user: string): Promise<string> =>
  shell(
    host,
    `systemd-run --quiet --unit="$1" --uid=mailherd-agent --property=StandardOutput=file:/run/$1.out /usr/lib/mailherd/bin/node -e "$2" /run/mailherd-mover.sock "$3"`,
    unit,
    CALL,
    user,
  );

beforeAll(async () => {
  access = await begin(FARM, false);
  for (const host of HOSTS) {
    const file = `${hostPaths(FARM.paths, host).root}/etc/mailherd/agent.yaml`;
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^mail:\n/m, `mail:\n  moverIdleMs: ${IDLE_MS}\n`));
    await shell(host, 'systemctl restart mailherd-agent');
  }
});
afterAll(() => down(FARM));

it.each(HOSTS)('the agent of %s is a user of its own with the right to read, and nothing beyond', async host => {
  const {user, effective, bounding, noNew} = await rightsOf(host, 'mailherd-agent.service');
  expect({user, noNew}).toEqual({user: 'mailherd-agent', noNew: '1'});
  expect(effective).toContain(CAP.DAC_READ_SEARCH);
  expect([...effective, ...bounding].filter(bit => !AGENT_MAY.includes(bit))).toEqual([]);
});

it.each(HOSTS)('in quiet times no mover runs on %s, and the agent sees all the same', async host => {
  expect(await eventually(WAIT_MS, async () => (await stateOf(host)) === 'inactive')).toBe(true);
  const failing = async (): Promise<object> =>
    (await call(access, 'GET', `/v1/hosts/${host}`, HostView)).report?.agent.failing ?? {none: 'no report'};
  expect(await eventually(WAIT_MS, async () => Object.keys(await failing()).length === 0)).toBe(true);
  expect(await shell(host, 'mailherd agent check')).toContain('Everything that matters can be read');
});

it('a move starts movers, which are root with what doveadm needs; they end when they have been idle', async () => {
  const user = `ada.pr12@${FARM.layout.domain}`;
  expect(await move(user, 'pr13')).toBe('retained');
  for (const host of HOSTS) {
    expect(await stateOf(host)).toBe('active');
    const {user: as, bounding, noNew} = await rightsOf(host, 'mailherd-mover.service');
    expect({as, noNew}).toEqual({as: 'root', noNew: '1'});
    expect(bounding.filter(bit => !Object.values(CAP).includes(bit))).toEqual([]);
  }
  for (const host of HOSTS) expect(await eventually(WAIT_MS, async () => (await stateOf(host)) === 'inactive')).toBe(true);
  expect(await move(user, 'pr12')).toBe('retained');
});

it.each(HOSTS)('nobody else on %s can ask the mover or the writer of kernel values', async host => {
  for (const socket of ['mailherd-mover', 'mailherd-tune']) {
    const said = await shell(host, 'runuser -u "$1" -- /usr/lib/mailherd/bin/node -e "$2" "$3" x', 'mailherd', CALL, `/run/${socket}.sock`);
    expect(said).toBe('EACCES');
  }
});

it('a mover ends with the agent it works for; an agent lives on without its mover, and moves go on with the next', async () => {
  await lasting('pr12', 'asks1', `ben.pr12@${FARM.layout.domain}`);
  expect(await eventually(WAIT_MS, async () => (await tried('pr12', 'cat /run/asks1.out')).includes('offered'))).toBe(true);
  const first = await pidOf('pr12', 'mailherd-mover.service');
  await shell('pr12', 'systemctl kill --signal=KILL asks1');
  expect(await eventually(WAIT_MS, async () => (await pidOf('pr12', 'mailherd-mover.service')) !== first)).toBe(true);
  expect(await shell('pr12', 'ss -Htln sport = :24246')).toBe('');

  await lasting('pr12', 'asks2', `ben.pr12@${FARM.layout.domain}`);
  expect(await eventually(WAIT_MS, async () => (await tried('pr12', 'cat /run/asks2.out')).includes('offered'))).toBe(true);
  const agent = await pidOf('pr12', 'mailherd-agent.service');
  await shell('pr12', 'systemctl kill --signal=KILL mailherd-mover.service');
  expect(await eventually(WAIT_MS, async () => (await tried('pr12', 'cat /run/asks2.out')).includes('closed'))).toBe(true);
  expect(await move(`ben.pr12@${FARM.layout.domain}`, 'pr13')).toBe('retained');
  expect(await pidOf('pr12', 'mailherd-agent.service')).toBe(agent);
});

it.each(HOSTS)(
  'a Dovecot of %s that begins anew lets the agent in again, and an agent of before, which was root, leaves nothing that bars its successor',
  async host => {
    await shell(host, 'systemctl restart dovecot');
    const groups = (): Promise<string> => shell(host, 'stat -c %G /run/dovecot/master /run/dovecot/stats-reader | sort -u');
    expect(await eventually(WAIT_MS, async () => (await groups()) === 'mailherd-agent')).toBe(true);
    await shell(
      host,
      `systemctl stop mailherd-agent && chown -R root: /var/lib/mailherd/agent /run/mailherd && cd /var/lib/mailherd/routes &&
     chown postfix:dovecot routes.db* && chmod 660 routes.db* && systemctl start mailherd-agent`,
    );
    const [owner = '', routes = ''] = (
      await shell(host, 'stat -c "%U" /var/lib/mailherd/agent/moves.json; readlink /run/mailherd/routes')
    ).split('\n');
    expect({owner, routes}).toEqual({owner: 'mailherd-agent', routes: '/var/lib/mailherd/routes'});
    const asUsers = `for user in postfix dovecot; do runuser -u $user -- /usr/lib/mailherd/bin/node -e '
    const {DatabaseSync} = require("node:sqlite"); const db = new DatabaseSync("/var/lib/mailherd/routes/routes.db");
    console.log(db.prepare("SELECT count(*) AS n FROM routes").get().n > 0)' 2>/dev/null; done`;
    expect(await eventually(WAIT_MS, async () => (await tried(host, asUsers)) === 'true\ntrue')).toBe(true);
  },
);
