import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {PortUse} from '../../native/kernel.ts';

/** A network namespace of its own with addresses of all kinds; 198.18.0.2 is nobody, where every packet vanishes. */
const NETWORK = `
ip link set lo up
for address in 192.168.7.7/32 203.0.113.6/32; do ip addr add $address dev lo; done
ip -6 addr add 2001:db8::1/128 dev lo nodad
ip -6 addr add fd00::1/128 dev lo nodad
ip link add v0 type veth peer name v1
ip addr add 198.18.0.1/24 dev v0
ip link set v0 up
ip neigh add 198.18.0.2 lladdr 02:00:00:00:00:02 dev v0
exec "$@"
`;

/** Connects to all of them; then the way to 198.18.0.3 is cut, and what that one has not got is sent again and again. */
const PROGRAM = `
import {execFileSync, spawn} from 'node:child_process';
import {connect, createServer} from 'node:net';
import {PortReader} from '${join(import.meta.dirname, '../../native/kernel.ts')}';
const sockets = [];
const server = createServer(socket => sockets.push(socket.on('error', () => undefined)));
await new Promise(resolve => server.listen({port: 25, host: '::'}, resolve));
const other = spawn('unshare', ['-n', process.execPath, '-e', 'net.createServer(s => s.resume()).listen(25, () => console.log(1))'], {stdio: 'pipe'});
await new Promise(resolve => other.stdout.once('data', resolve));
execFileSync('ip', ['link', 'set', 'v1', 'netns', String(other.pid)]);
const setUp = 'ip addr add 198.18.0.3/24 dev v1; ip link set v1 up';
execFileSync('nsenter', ['-t', String(other.pid), '-n', 'sh', '-ec', setUp]);
const dial = host => new Promise(resolve => {
  const socket = connect({host, port: 25}, () => socket.write('EHLO test', () => resolve(socket))).on('error', () => undefined);
});
let far;
for (const host of ['127.0.0.1', '192.168.7.7', '192.168.7.7', '203.0.113.6', '2001:db8::1', 'fd00::1', '198.18.0.3']) {
  far = await dial(host);
}
void dial('198.18.0.2');
const reader = new PortReader();
const read = () => reader.read(1024, 65535, ['203.0.113.6', 'be1.example', '2001:db8::99']);
let first = await read();
while (first.toSmtp.synSent === undefined) first = await read();
execFileSync('ip', ['neigh', 'replace', '198.18.0.3', 'lladdr', '02:00:00:00:00:03', 'dev', 'v0']);
far.write('DATA');
let second = first;
for (let looks = 0; looks < 200 && !(second.peers.ipv4.retransmitting > 0); looks++) {
  await new Promise(resolve => setTimeout(resolve, 50));
  second = await read();
}
console.log(JSON.stringify({first, second}));
other.kill();
process.exit(0);
`;

test.runIf(process.getuid?.() === 0)(
  'connections to port 25 by where they go to: how many, how slow, how much is sent again',
  () => {
    const args = ['-n', 'sh', '-ec', NETWORK, 'sh', process.execPath, '--input-type=module', '-e', PROGRAM];
    const {first, second} = JSON.parse(execFileSync('unshare', args, {encoding: 'utf8', timeout: 25_000})) as Record<
      'first' | 'second',
      PortUse
    >;
    const counts = Object.entries(first.peers).map(([name, {connections, connecting}]) => [name, connections, connecting]);
    expect(counts).toEqual([
      ['farm', 2, 0],
      ['private', 3, 0],
      ['ipv4', 1, 1],
      ['ipv6', 1, 0],
    ]);
    expect(first.toSmtp).toEqual({established: 7, synSent: 1});
    for (const {rttUsP50, rttUsMax, segments, segmentsAgain, retransmitting} of Object.values(first.peers)) {
      expect(rttUsP50).toBeGreaterThan(0);
      expect(rttUsMax).toBeGreaterThanOrEqual(rttUsP50 ?? Number.POSITIVE_INFINITY);
      expect(segments).toBeGreaterThan(0);
      expect([segmentsAgain, retransmitting]).toEqual([0, 0]);
    }
    expect(second.peers.ipv4).toMatchObject({connections: 1, retransmitting: 1});
    expect(second.peers.ipv4?.segmentsAgain).toBeGreaterThan(0);
    expect(second.peers.private?.retransmitting).toBe(0);
    expect(first.isComplete).toBe(true);
  },
  30_000,
);
