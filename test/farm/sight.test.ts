import {connect, type Socket} from 'node:net';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {octavePercentile} from '../../base/histogram.ts';
import {call} from '../../farm/api.io.ts';
import {apiAccess, enrolAll} from '../../farm/enrol.io.ts';
import {down, type Farm, up} from '../../farm/farm.io.ts';
import {startFault} from '../../farm/fault/act.io.ts';
import {findHost, makeLayout, users} from '../../farm/layout.ts';
import {runIn, tryRunIn} from '../../farm/machine/enter.io.ts';
import {buildPackage} from '../../farm/package.io.ts';
import {farmPaths} from '../../farm/paths.ts';
import {HostView, UserView} from '../../wire/api.ts';
import type {HostReport} from '../../wire/report.ts';
import {eventually} from './smoke.ts';

/** Needs root. What an agent sees of the mail system, shown on real hosts of both releases: each source with a value that was made to be there. */
const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-sight'}),
  layout: makeLayout('mhfarm3', '10.213.73', 3, [
    {name: 'sactl', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
    {name: 'sae12', role: 'edge', release: 'bookworm', last: 11, labels: {}, isSpare: false},
    {name: 'sae13', role: 'edge', release: 'trixie', last: 12, labels: {}, isSpare: false},
    {name: 'sa12', role: 'backend', release: 'bookworm', last: 21, labels: {}, isSpare: false},
    {name: 'sa13', role: 'backend', release: 'trixie', last: 22, labels: {}, isSpare: false},
  ]),
  say: () => undefined,
};
const BACKENDS = ['sa12', 'sa13'] as const;
const EDGES = ['sae12', 'sae13'] as const;
const {paths, layout} = FARM;
const PROCESSES = 3;
const SCREENED_PORT = 2500;
const sockets: Socket[] = [];

beforeAll(async () => {
  await down(FARM);
  await up(FARM, {deb: await buildPackage(), isFilled: true});
  await enrolAll(FARM);
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await down(FARM);
});

/** A connection that stays open, and speaks when it is spoken to. */
function open(host: string, port: number, ...says: string[]): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(port, findHost(layout, host)?.address ?? '');
    let text = '';
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    socket.on('data', part => {
      text += part;
      const next = says.shift();
      if (next === undefined) resolve(text);
      else socket.write(`${next}\r\n`);
    });
  });
}

const shell = (host: string, script: string): Promise<string> => runIn(paths, host, ['sh', '-ec', script]);
const send = (to: string): string => `printf 'From: a@outside.example\\n\\nbody\\n' | sendmail -f a@outside.example '${to}'`;
/** A message that has come ten minutes ago and whose writer died over it, by the name that Postfix would give it. */
const STUCK = `name=$(perl -e 'my @d = ("0".."9", grep { !/[aeiou]/i } ("B".."Z", "b".."z")); my ($s, $n) = (time - 600, "");
  for (1 .. 6) { $n = $d[$s % 52] . $n; $s = int($s / 52) } print $n')0000zB
install -m 600 -o postfix /dev/null "/var/spool/postfix/incoming/$name"
install -m 600 -o postfix /etc/hostname "/var/spool/postfix/corrupt/$name"`;

/** The agent is told on its return that it has watched every mailbox for two days. */
const AGED = `systemctl stop mailherd-agent
perl -pi -e 's/,(\\d+)\\]/sprintf(",%d]", $1 - 172_800_000)/ge' /var/lib/mailherd/agent/activity.json
systemctl start mailherd-agent`;

/** Makes mail and mail programs do everything that shows, on one host. */
async function stir(host: string): Promise<void> {
  const [first] = users(layout).filter(user => user.host === host);
  if (first === undefined) throw new Error(`no user on ${host}`);
  const {user, password} = first;
  await shell(
    host,
    `postconf -M ${SCREENED_PORT}/inet='${SCREENED_PORT} inet n - y - 1 postscreen' smtpd/pass='smtpd pass - - y - - smtpd' && postfix reload 2>/dev/null`,
  );
  // Only now: with a reload Postfix gives queue files the names that they should have.
  await shell(host, [send(user), send('x@gmail.com'), send('y@gmail.com'), STUCK].join('\n'));
  await open(host, 143, `a LOGIN ${user} wrong`, 'b LOGOUT');
  await open(host, 143, `a LOGIN ${user} ${password}`, 'b SELECT INBOX', 'c UID FETCH 1:* (FLAGS)', 'd LOGOUT');
  await open(host, 143, `a LOGIN ${user} ${password}`, 'b SELECT INBOX', 'c NOOP');
  await eventually(10_000, async () => (await tryRunIn(paths, host, ['doveadm', 'kick', user])).code === 0);
  await open(host, SCREENED_PORT, 'QUIT');
  const edge = findHost(layout, host === 'sa12' ? 'sae12' : 'sae13')?.address ?? '';
  await shell(host, `bash -c 'exec 3<>/dev/tcp/${edge}/25; exec sleep 100' >/dev/null 2>&1 &`);
  // Held mail stays as it is; the mark says that it shall be returned.
  await shell(
    host,
    `${send('z@gmail.com')}; sleep 1; id=$(postqueue -j | grep -m1 z@gmail.com | grep -o '"queue_id": "[^"]*' | cut -d'"' -f4); postsuper -h "$id"; postsuper -e "$id"`,
  );
}

/** Every report that the coordinator has of a host since this began. */
const reports = new Map<string, HostReport[]>([...BACKENDS, ...EDGES].map(host => [host, []]));

/** Takes reports until all of `wanted` were seen in some of them. @returns the names of those that were not. */
async function watch(host: string, wanted: Record<string, Seen>, timeoutMs: number): Promise<string[]> {
  const access = await apiAccess(FARM);
  const all = reports.get(host) ?? [];
  const missing = (): string[] => Object.keys(wanted).filter(name => !all.some(report => wanted[name]?.(report) === true));
  await eventually(timeoutMs, async () => {
    const {report} = await call(access, 'GET', `/v1/hosts/${host}`, HostView);
    if (report !== null && report.sequence !== all.at(-1)?.sequence) all.push(report);
    return missing().length === 0;
  });
  return missing();
}

type Seen = (report: HostReport) => boolean;
const figures = (report: HostReport) => report.mailFigures ?? null;
const latencyOf =
  (name: string): Seen =>
  report =>
    figures(report)?.latencies?.some(({of, us}) => of === name && us.length > 0) === true;
const slowestLoginMs = (all: readonly HostReport[]): number => {
  const rows = all.flatMap(report => figures(report)?.latencies?.flatMap(({of, us}) => (of === 'login' ? [us] : [])) ?? []);
  return (octavePercentile(rows, () => 1) ?? 0) / 1000;
};
const endedBy =
  (...hows: string[]): Seen =>
  report =>
    hows.some(how => (figures(report)?.log?.ends[how] ?? 0) > 0);

/** Each source, and what it must have shown. */
const SHOWN: Record<string, Seen> = {
  'queue: counts and bytes': report => (report.queue?.deferred ?? 0) > 0 && (figures(report)?.queue?.bytes ?? 0) > 100,
  'queue: bytes of each': report =>
    (figures(report)?.queue?.queueBytes?.deferred ?? 0) > 100 && (figures(report)?.queue?.queueBytes?.hold ?? 0) > 100,
  'queue: age by true arrival of short ids': report =>
    (figures(report)?.queue?.ageMsMax ?? 0) > 0 && figures(report)?.queue?.askedShare === 1,
  'queue: the next attempts and the herd': report =>
    Object.values(figures(report)?.queue?.retry ?? {}).reduce((sum, count) => sum + count, 0) > 0,
  'queue: half-written and stuck': report => figures(report)?.queue?.halfWritten === 1 && figures(report)?.queue?.stuckIncoming === 1,
  'queue: put aside as corrupt': report => {
    const corrupt = figures(report)?.queue?.corrupt;
    return corrupt?.messages === 1 && (corrupt.bytes ?? 0) > 0;
  },
  'queue: marked to be returned': report => report.queue?.hold === 1 && figures(report)?.queue?.forceExpire === 1,
  'queue: share of active': report => figures(report)?.queue?.activeShare !== null,
  'queue: directories': report => (figures(report)?.queue?.directoryBytesMax ?? 0) >= 4096,
  'queue: destinations of opened messages': report => (figures(report)?.queue?.destinations?.classes.google ?? 0) > 0,
  'log: deliveries to mailboxes': report =>
    figures(report)?.log?.deliveries.some(row => row.transport === 'lmtp' && row.sent > 0 && row.delays.sending.length > 0) === true,
  'log: deferred by class with its code': report =>
    figures(report)?.log?.deliveries.some(row => row.destination === 'google' && row.deferred > 0 && (row.dsn['4.4.1'] ?? 0) > 0) === true,
  'log: wrong passwords': endedBy('authFailed'),
  'log: logouts': endedBy('logout'),
  // 2.3 says it as a shutdown.
  'log: kicked sessions': endedBy('kicked', 'shutdown'),
  'log: postscreen': report => (figures(report)?.log?.screened.connect ?? 0) > 0 && (figures(report)?.log?.screened.allowlisted ?? 0) > 0,
  'Dovecot: latency of IMAP commands': latencyOf('imap SELECT'),
  'Dovecot: latency of deliveries': latencyOf('lmtp'),
  'Dovecot: latency of logins': latencyOf('login'),
  'Dovecot: processes': report =>
    (figures(report)?.dovecot?.busiest.some(({max}) => max !== null) ?? false) && (figures(report)?.dovecot?.processes ?? 0) > 5,
  'Postfix: processes': report =>
    (figures(report)?.postfix?.busiest.some(({max}) => max !== null) ?? false) && (figures(report)?.postfix?.processes ?? 0) > 2,
  // Postfix gives listen its limit of processes, whatever the system allows.
  'kernel: accept queues': report => report.system?.listeners?.tcp[25]?.[1] === 100 && report.system.listeners.unixWatched > 20,
  'kernel: control groups of the mail services': report =>
    ['postfix', 'dovecot'].every(name => report.system?.services?.[name]?.psiIoSome10 !== undefined),
  'kernel: journal of the mail store': report => (report.system?.disk?.commitMs ?? 0) > 0,
  'kernel: ports': report => (report.system?.outbound?.portsTaken['127.0.0.1'] ?? 0) > 0,
  'kernel: open files and inotify': report =>
    (report.system?.files?.services.dovecot?.fullest[1] ?? 0) > 0 && Object.keys(report.system?.files?.inotify ?? {}).length > 0,
  'kernel: setup of the mail store, its mount judged': report =>
    report.system?.setup?.store?.type === 'ext4' && report.system.setup.store.faults.every(fault => fault !== ''),
  'kernel: block queue of its disk': report =>
    (report.system?.setup?.store?.requestsMax ?? 0) > 0 && report.system?.setup?.store?.disk !== undefined,
  // These hosts see no /sys/fs of their own.
  'kernel: errors of its file system are not there, and why': report =>
    Object.entries(report.system?.lacking ?? {}).some(
      ([folder, files]) => /^\/sys\/fs\/ext4\/\w+ ENOENT/.test(folder) && files.includes('errors_count'),
    ),
  'kernel: distance to throttling': report =>
    report.system?.memory?.dirtyOfThrottle !== undefined && report.system.memory.dirtyOfBackground !== undefined,
  // Farm hosts know each other's addresses by the coordinator.
  'kernel: connections to port 25 by where they go': report => (report.system?.outbound?.smtpPeers?.farm?.rttMsP50 ?? 0) > 0,
  'kernel: connections by state': report => (report.system?.network?.openConnections ?? 0) > 0 && report.system?.connections !== undefined,
  // A host of this farm is a guest in the kernel of its machine.
  "kernel: its log is not this host's, and why": report => report.system?.lacking?.kernelLog?.includes('container') === true,
  'probes: through the queue, by LMTP, by IMAP': report =>
    report.slis.probeDeliveryMs !== null && report.slis.probeLoginMs !== null && (figures(report)?.probes?.lmtpMs ?? 0) > 0,
  'probes: connections that idle': report => figures(report)?.probes?.idle?.open === 2,
};

/** What shows only where processes are few. */
const SHOWN_AT_LIMIT: Record<string, Seen> = {
  'Dovecot: process limit': report =>
    figures(report)?.log?.limits.some(({limit, service}) => limit === 'dovecotProcesses' && service === 'imap') === true,
  'Dovecot: drops connections': report =>
    figures(report)?.dovecot?.busiest.some(({service, dropping}) => service === 'imap' && dropping) === true,
  'Postfix: process limit': report =>
    figures(report)?.log?.limits.some(({limit, service}) => limit === 'postfixProcesses' && service === 'smtp') === true,
  'Postfix: stress': report =>
    (figures(report)?.postfix?.stressed ?? 0) > 0 &&
    figures(report)?.postfix?.busiest.some(
      ({service, processes, max}) => service === 'smtp/inet' && processes === PROCESSES && max === 100,
    ) === true,
};

/** As a person sees it there. */
const agent = (host: string, ...words: string[]) => tryRunIn(paths, host, ['mailherd', 'agent', ...words]);

describe.concurrent.each(EDGES)('%s', host => {
  it('is asked what its users ask of it', {timeout: 120_000}, async () => {
    const asked: Record<string, Seen> = {
      'a message through its queue': ({slis}) => slis.probeDeliveryMs !== null,
      'a login through its proxy': ({slis}) => slis.probeLoginMs !== null,
      'all of it': ({slis}) => slis.probeFailureShare === 0,
      'its own mailbox is no load': ({load}) => load.users === 0 && load.imapSessions === 0,
    };
    expect(await watch(host, asked, 60_000)).toEqual([]);
    const {code, stdout} = await agent(host, 'check');
    expect({code, stdout}).toMatchObject({code: 0});
  });
});

describe.concurrent.each(BACKENDS)('%s', host => {
  it('shows every source', {timeout: 120_000}, async () => {
    // Dovecot counts for the agent from its first report on.
    expect(await watch(host, {counting: report => (figures(report)?.latencies ?? null) !== null}, 30_000)).toEqual([]);
    await stir(host);
    expect(await watch(host, SHOWN, 60_000)).toEqual([]);
    for (const words of [['check'], ['once'], ['once', '--json']]) {
      const {code, stderr} = await agent(host, ...words);
      expect({words, code, stderr}).toEqual({words, code: 0, stderr: ''});
    }
    const unit = await runIn(paths, host, ['systemctl', 'show', 'mailherd-agent', '-p', 'Type,WatchdogUSec,MemoryMax,NRestarts']);
    expect(unit.trim().split('\n').sort()).toEqual(['MemoryMax=268435456', 'NRestarts=0', 'Type=notify', 'WatchdogUSec=1min 30s']);
    // Wrong passwords wait for two seconds; they are no logins.
    expect(slowestLoginMs(reports.get(host) ?? [])).toBeLessThan(1_500);

    // The coordinator asks for sizes: by what Dovecot's own indexes say.
    const [first] = users(layout).filter(user => user.host === host);
    const [messages, bytes] = (
      await runIn(paths, host, ['doveadm', '-f', 'flow', 'mailbox', 'status', '-u', first?.user ?? '', '-t', 'messages vsize', '*'])
    )
      .match(/\d+/g)
      ?.map(Number) ?? [0, 0];
    const access = await apiAccess(FARM);
    await eventually(20_000, async () => (await call(access, 'GET', `/v1/users/${first?.user}`, UserView)).bytes === bytes);
    expect(await call(access, 'GET', `/v1/users/${first?.user}`, UserView)).toMatchObject({messages, bytes});

    // How busy a mailbox is, is told of those watched for a day: let it be two.
    await shell(host, AGED);
    const asked = (): Promise<UserView> => call(access, 'GET', `/v1/users/${first?.user}`, UserView);
    await eventually(60_000, async () => {
      const {deliveriesPerDay, sessionsPerDay} = await asked();
      return deliveriesPerDay !== null && sessionsPerDay !== null;
    });
    const {deliveriesPerDay, sessionsPerDay} = await asked();
    expect(deliveriesPerDay).toBeGreaterThan(0);
    expect(sessionsPerDay).toBeGreaterThan(0.5);

    await startFault(paths, layout, 'few-processes', host, String(PROCESSES));
    for (let at = 0; at < PROCESSES + 2; at++) void open(host, 25);
    for (let at = 0; at < PROCESSES; at++) void open(host, 143, `a LOGIN ${first?.user} ${first?.password}`, 'b SELECT INBOX');
    expect(await watch(host, SHOWN_AT_LIMIT, 45_000)).toEqual([]);
    // What seldom changes is told seldom.
    const sizes = (reports.get(host) ?? []).map(report => JSON.stringify(report).length).sort((a, b) => a - b);
    expect(sizes[Math.floor(sizes.length / 2)]).toBeLessThan(4_096);
    expect((reports.get(host) ?? []).flatMap(report => Object.keys(report.agent.failing))).toEqual([]);
  });
});
