import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {begin} from '../../bench/move/farm.io.ts';
import {type ApiAccess, call} from '../../farm/api.io.ts';
import {down, type Farm} from '../../farm/farm.io.ts';
import {openRoutes} from '../../farm/host/routes-seed.io.ts';
import {makeLayout, type Release} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {farmPaths, hostPaths} from '../../farm/paths.ts';
import {HostView, MovesView, PlanView, PolicyView, ReliefView} from '../../wire/api.ts';
import {eventually} from './smoke.ts';

/** Needs root and what the farm needs: the host with the queue, where one of its users moves to, and a relay. */
const backend = (name: string, release: Release, last: number) =>
  ({name, role: 'backend', release, last, labels: {}, isSpare: false}) as const;
const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-relief'}),
  layout: makeLayout('mhfarm4', '10.213.74', 3, [
    {name: 'rqct', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
    backend('rqs1', 'bookworm', 21),
    backend('rqt1', 'trixie', 22),
    backend('rqr1', 'trixie', 23),
  ]),
  say: () => undefined,
};
const MOVED = `ada.rqs1@${FARM.layout.domain}`;
const STAYS = `ben.rqs1@${FARM.layout.domain}`;
const OUTSIDE = 'eve@far.example';
const EACH = 8;
/** Mail is this old when the relief begins: what counts from its true arrival is older. */
const AGE_MS = 12_000;

let access: ApiAccess;
const shell = (host: string, script: string, ...args: string[]): Promise<string> =>
  runIn(FARM.paths, host, ['sh', '-c', script, 'sh', ...args]);

interface Queued {
  queue_name: string;
  arrival_time: number;
  sender: string;
  recipients: {address: string}[];
}
async function queueOf(host: string): Promise<Queued[]> {
  const text = await runIn(FARM.paths, host, ['postqueue', '-j']);
  const all = text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Queued);
  return all.filter(({recipients}) => !recipients.some(({address}) => address.endsWith('.invalid')));
}
const recipientsIn = async (host: string): Promise<string[]> =>
  (await queueOf(host)).flatMap(({recipients}) => recipients.map(({address}) => address)).sort();
const mailLog = (host: string): Promise<string> =>
  shell(
    host,
    'journalctl --no-pager --output=cat --identifier=postfix/lmtp --identifier=postfix/smtp --identifier=postfix/bounce --identifier=postfix/qmgr',
  );
const times = (count: number, value: string): string[] => Array.from({length: count}, () => value);

async function setRelays(relays: string[]): Promise<void> {
  const {policy, revision} = await call(access, 'GET', '/v1/policy', PolicyView);
  await call(access, 'PUT', '/v1/policy', PolicyView, {policy: {...policy, relief: {relays, spanMs: 600_000}}, revision});
}
const relieve = (body: object): Promise<ReliefView> => call(access, 'POST', '/v1/hosts/rqs1/relieve', ReliefView, body);

beforeAll(async () => {
  access = await begin(FARM, false);
  await call(access, 'POST', '/v1/moves', PlanView, {user: MOVED, target: 'rqt1'});
  await eventually(90_000, async () => (await call(access, 'GET', '/v1/moves', MovesView)).moves.some(({step}) => step === 'retained'));
  // Its Dovecot is dead, and it reaches nobody outside: everything that comes waits.
  await runIn(FARM.paths, 'rqs1', ['systemctl', 'stop', 'dovecot.socket', 'dovecot.service']).catch(() =>
    runIn(FARM.paths, 'rqs1', ['systemctl', 'stop', 'dovecot.service']),
  );
  for (const user of [MOVED, STAYS, OUTSIDE]) {
    await shell(
      'rqs1',
      'for n in $(seq "$2"); do printf "Subject: relief %s\\nMessage-ID: <%s.%s@relief>\\n\\nbody\\n" "$n" "$n" "$1" | sendmail -f sender@far.example "$1"; done',
      user,
      String(EACH),
    );
  }
  await eventually(60_000, async () => (await queueOf('rqs1')).length === 3 * EACH);
  await new Promise(resolve => setTimeout(resolve, AGE_MS));
});

afterAll(() => down(FARM));

describe('the queue of a sick host', () => {
  it('is not given to a relay that would not take it, and nothing is changed', async () => {
    await setRelays(['rqr1']);
    await shell('rqr1', 'postconf -e "mynetworks = 127.0.0.0/8" && postfix reload');
    await expect(relieve({})).rejects.toThrow(/RELIEF_REFUSED.*Relay access denied/);
    expect(await queueOf('rqs1')).toHaveLength(3 * EACH);
    expect(await inTable(db => db.prepare('SELECT * FROM relief').all())).toEqual([]);
  });

  it('keeps what a next hop refuses for good after all, while it is relieved', async () => {
    await setRelays([]);
    const begun = await relieve({});
    expect(begun).toEqual({host: 'rqs1', queued: 3 * EACH, elsewhere: EACH, outgoing: EACH});
    await setRelays(['rqr1']);
    // Behind the agent's back: as if the relay had changed its mind since it was asked.
    await inTable(db => db.prepare('UPDATE relief SET next_hop = ?').run(`[${addressOf('rqr1')}]:25`));
    await shell('rqs1', 'postqueue -f');
    await eventually(60_000, async () => /dsn=4\.7\.\d.*relay access denied/i.test(await mailLog('rqs1')));
    expect((await recipientsIn('rqs1')).filter(address => address === OUTSIDE)).toEqual(times(EACH, OUTSIDE));
    expect(await mailLog('rqs1')).not.toMatch(/status=bounced|non-delivery notification/);
    await relieve({end: true});
  });

  it('drains to where users live now and by the relay, with its times of arrival, and nothing comes back', async () => {
    await shell('rqr1', `postconf -e "mynetworks = 127.0.0.0/8 ${FARM.layout.network}" && postfix reload`);
    const arrivals = (await queueOf('rqs1')).map(({arrival_time}) => arrival_time).sort();
    await relieve({});
    expect(await eventually(90_000, async () => (await recipientsIn('rqs1')).every(address => address === STAYS))).toBe(true);
    expect(await recipientsIn('rqs1')).toEqual(times(EACH, STAYS));

    const count = 'doveadm search -u "$1" mailbox INBOX header Subject relief | wc -l';
    expect(Number(await shell('rqt1', count, MOVED))).toBeGreaterThanOrEqual(EACH);
    expect(await recipientsIn('rqr1')).toEqual(times(EACH, OUTSIDE));

    const sent = (await mailLog('rqs1')).split('\n').filter(line => line.includes('status=sent') && !line.includes('.invalid'));
    const delays = [MOVED, OUTSIDE].map(user =>
      sent.filter(line => line.includes(`to=<${user}>`)).map(line => Number(/ delay=([\d.]+)/.exec(line)?.[1])),
    );
    expect(delays.map(each => each.length)).toEqual([EACH, EACH]);
    for (const delay of delays.flat()) expect(delay).toBeGreaterThanOrEqual(AGE_MS / 1_000);
    expect(sent.some(line => line.includes(`relay=${addressOf('rqt1')}[${addressOf('rqt1')}]:24`))).toBe(true);

    // What the relay holds says in its header when it came to the farm.
    const headers = await shell(
      'rqr1',
      'for id in $(postqueue -j | grep -o \'"queue_id": "[^"]*\' | cut -d\'"\' -f4); do postcat -qh $id; done',
    );
    const received = [...headers.matchAll(/Received: by rqs1[^;]*;\s*([^\n]+)/g)].map(match =>
      Date.parse(match[1]?.replace(/\s*\(.*/, '') ?? ''),
    );
    expect(received).toHaveLength(EACH);
    for (const atMs of received) expect(arrivals.some(arrival => Math.abs(arrival * 1_000 - atMs) <= 2_000)).toBe(true);
    for (const host of ['rqs1', 'rqt1', 'rqr1']) expect(await mailLog(host), host).not.toMatch(/status=bounced|non-delivery notification/);
  });

  it('is told in the report while it lasts, and what stayed arrives when the host works again', async () => {
    const view = (): Promise<HostView> => call(access, 'GET', '/v1/hosts/rqs1', HostView);
    expect(await eventually(30_000, async () => (await view()).report?.relief?.relay === `[${addressOf('rqr1')}]:25`)).toBe(true);
    await relieve({end: true});
    expect(await eventually(30_000, async () => (await view()).report?.relief === null)).toBe(true);
    await runIn(FARM.paths, 'rqs1', ['systemctl', 'start', 'dovecot.service']);
    await shell('rqs1', 'postqueue -f');
    expect(await eventually(60_000, async () => (await queueOf('rqs1')).length === 0)).toBe(true);
  });
});

const addressOf = (host: string): string => FARM.layout.hosts.find(({name}) => name === host)?.address ?? '';
/** The table that Postfix reads. */
async function inTable<T>(work: (db: Awaited<ReturnType<typeof openRoutes>>) => T): Promise<T> {
  const db = await openRoutes(hostPaths(FARM.paths, 'rqs1').root, 'rqs1');
  try {
    return work(db);
  } finally {
    db.close();
  }
}
