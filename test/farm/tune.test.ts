import {appendFile} from 'node:fs/promises';
import Type from 'typebox';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {type ApiAccess, call} from '../../farm/api.io.ts';
import {apiAccess, enrolAll} from '../../farm/enrol.io.ts';
import {down, type Farm, up} from '../../farm/farm.io.ts';
import {makeLayout} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {buildPackage} from '../../farm/package.io.ts';
import {farmPaths, hostPaths} from '../../farm/paths.ts';
import {HostView} from '../../wire/api.ts';
import {type TuneReport, TuneView} from '../../wire/tune.ts';
import {eventually} from './smoke.ts';

/**
 * Needs root. On real hosts of both releases the ports of one address run short: advice, a change on a person's word through the
 * sandboxed writer, and every way it can end. The range of ports belongs to the host's own network namespace.
 */
const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-tune'}),
  layout: makeLayout('mhfarm4', '10.213.74', 1, [
    {name: 'tuctl', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
    {name: 'tu12', role: 'backend', release: 'bookworm', last: 21, labels: {}, isSpare: false},
    {name: 'tu13', role: 'backend', release: 'trixie', last: 22, labels: {}, isSpare: false},
  ]),
  say: () => undefined,
};
const Any = Type.Object({});
const KNOB = 'net.ipv4.ip_local_port_range';
const NARROW = '40000 40999';
const CONNECTIONS = 700;
const WAIT_MS = 90_000;
/** Holds connections from one address to itself. */
const HOLD_PORTS = `const net = require('node:net');
const server = net.createServer().listen(5999, '127.0.0.1', 1000, () => {
  for (let count = 0; count < ${CONNECTIONS}; count++) net.connect(5999, '127.0.0.1');
});`;

let access: ApiAccess;

beforeAll(async () => {
  await down(FARM);
  await up(FARM, {deb: await buildPackage(), isFilled: false});
  await enrolAll(FARM);
  access = await apiAccess(FARM);
  for (const host of ['tu12', 'tu13']) {
    await appendFile(`${hostPaths(FARM.paths, host).root}/etc/mailherd/agent.yaml`, 'tune: {guardMs: 2000, effectMs: 10000}\n');
    await runIn(FARM.paths, host, ['systemctl', 'restart', 'mailherd-agent']);
  }
});

afterAll(() => down(FARM));

describe.each(['tu12', 'tu13'])('ports run short on %s', host => {
  const inside = (...command: string[]): Promise<string> => runIn(FARM.paths, host, command);
  const range = async (): Promise<string> => (await inside('cat', '/proc/sys/net/ipv4/ip_local_port_range')).trim().replace(/\s+/, ' ');
  const setRange = (value: string): Promise<string> => inside('sysctl', '-w', `${KNOB}=${value}`);
  const report = async (): Promise<TuneReport | null> => {
    const {hosts} = await call(access, 'GET', '/v1/tune', TuneView);
    return hosts.find(each => each.host === host)?.tune ?? null;
  };
  const adviceId = (): Promise<string | undefined> =>
    eventually(WAIT_MS, async () => (await report())?.advice.find(({knob, level}) => knob === KNOB && level === 'automatic')?.id);
  const approve = async (): Promise<string> => {
    const advice = await adviceId();
    if (advice === undefined) throw new Error(`no advice: ${JSON.stringify(await report())}`);
    await call(access, 'POST', `/v1/hosts/${host}/tune`, Any, {advice});
    return advice.slice(KNOB.length + 1);
  };
  const endedHow = (outcome: string): Promise<boolean | undefined> =>
    eventually(WAIT_MS, async () => (await report())?.ended.some(each => each.outcome === outcome));

  it('advice comes, and a person has it followed', async () => {
    await setRange(NARROW);
    await inside('systemd-run', '--unit=hold-ports', '--property=LimitNOFILE=4096', '/usr/lib/mailherd/bin/node', '-e', HOLD_PORTS);
    const value = await approve();
    // Above Dovecot's own ports, which a service that restarts must find free.
    expect(value).toBe('24248 40999');
    expect(await range()).toBe(value);
  });

  it('a writer that is killed has put the value back when it is gone', async () => {
    await inside('systemctl', 'kill', '--signal=KILL', 'mailherd-tune.service');
    expect(await eventually(10_000, async () => (await range()) === NARROW)).toBe(true);
    expect(await endedHow('lost')).toBe(true);
  });

  it('a change that harms nobody is kept, and is a trait of the host', async () => {
    const value = await approve();
    expect(await eventually(WAIT_MS, async () => (await report())?.changes.some(({stage}) => stage === 'kept'))).toBe(true);
    const labelled = async (): Promise<boolean> =>
      (await call(access, 'GET', `/v1/hosts/${host}`, HostView)).report?.labels.tuned === `${KNOB}=${value}`;
    expect(await eventually(WAIT_MS, labelled)).toBe(true);
  });

  it('it is given back on a word', async () => {
    await call(access, 'POST', `/v1/hosts/${host}/untune`, Any, {knob: KNOB});
    expect(await range()).toBe(NARROW);
  });

  it('what an administrator writes stays', async () => {
    await approve();
    await setRange('30000 40999');
    expect(await endedHow('released')).toBe(true);
    expect([await range(), (await report())?.retired]).toEqual(['30000 40999', [KNOB]]);
  });

  it('a host without any of it is as it was', async () => {
    expect(await eventually(WAIT_MS, async () => (await inside('ls', '/run/mailherd-tune')).trim() === '')).toBe(true);
  });
});
