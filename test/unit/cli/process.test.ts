import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {CODES, MailherdError} from '../../../base/errors.ts';
import {operatorCommands} from '../../../cli/commands.io.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';

// Each call is a process of its own, on a machine that may be busy.
vi.setConfig({testTimeout: 60_000});

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** The command as an operator runs it, in a process of its own. */
async function mailherd(words: string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['cli/main.io.ts', ...words], {
    env: {PATH: process.env.PATH, MAILHERD_API: base, MAILHERD_TOKEN: 'secret', ...env},
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  child.stderr.on('data', chunk => {
    err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return {code, out, err};
}

let servers: Server[];
let base: string;
let requests: {method: string | undefined; url: string | undefined; auth: string | undefined; body: string}[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handler).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function json(status: number, value: unknown): typeof answer {
  return (_request, response) => response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value));
}

function refusal(code: keyof typeof CODES, detail = {}): typeof answer {
  const {http, next} = CODES[code];
  return json(http, {error: {code, detail}, next, message: new MailherdError(code, detail).message});
}

beforeEach(async () => {
  servers = [];
  requests = [];
  answer = json(200, []);
  base = await listen((request, response) => {
    let body = '';
    request.on('data', chunk => {
      body += chunk;
    });
    request.on('end', () => {
      requests.push({method: request.method, url: request.url, auth: request.headers.authorization, body});
      answer(request, response);
    });
  });
});
afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

describe('exit codes, each with one line that tells what to do', () => {
  test('0 and the answer', async () => {
    expect(await mailherd(['hosts'])).toEqual({code: 0, out: 'No host is registered yet.\n', err: ''});
    expect(requests).toEqual([{method: 'GET', url: '/v1/hosts', auth: 'Bearer secret', body: ''}]);
    expect(await mailherd(['hosts', '--json'])).toMatchObject({code: 0, out: '[]\n'});
  });

  test('1 when the coordinator refuses', async () => {
    answer = refusal('DOES_NOT_FIT', {missingBytes: 5});
    const ended = await mailherd(['evacuate', 'be07', '--reason', 'disk']);
    expect(ended).toMatchObject({code: 1, out: ''});
    expect(ended.err).toBe(
      'mailherd: DOES_NOT_FIT: the other hosts cannot take these mailboxes (missingBytes=5). Look at the farm as it is now and plan again.\n',
    );
    expect(requests[0]).toMatchObject({method: 'POST', url: '/v1/hosts/be07/evacuate', body: '{"reason":"disk"}'});
  });

  test('2 for words it does not know', async () => {
    for (const words of [
      ['evacuate'],
      ['dance'],
      ['evacuate', 'be07', '--dry'],
      ['events', '--since', 'yesterday'],
      ['reinstall', 'be07'],
    ]) {
      const {code, err} = await mailherd(words);
      expect([words, code]).toEqual([words, 2]);
      expect(err).toContain('error:');
    }
    expect(requests).toEqual([]);
  });

  test('69 when no coordinator answers or none leads', async () => {
    const closed = await listen(() => undefined);
    servers.pop()?.close();
    const gone = await mailherd(['hosts'], {MAILHERD_API: closed});
    expect(gone.code).toBe(69);
    expect(gone.err).toMatch(/^mailherd: no coordinator is available \(http:\/\/127\.0\.0\.1:\d+ ECONNREFUSED\)\..*\n$/);
    answer = refusal('NOT_LEADER', {leader: null});
    expect((await mailherd(['pause'])).code).toBe(69);
  });

  test('78 for a configuration that is not one', async () => {
    const ended = await mailherd(['hosts'], {MAILHERD_API: 'ftp://farm'});
    expect(ended).toEqual({code: 78, out: '', err: 'mailherd: MAILHERD_API: /api: ftp://farm is not an http address\n'});
  });

  test('1 for something that is no coordinator', async () => {
    answer = (_request, response) => response.writeHead(500).end('<h1>oops</h1>');
    expect(await mailherd(['hosts'])).toMatchObject({code: 1, err: expect.stringContaining('API_FAILED')});
  });
});

test('the coordinator that leads is found among several', async () => {
  const follower = await listen(refusal('NOT_LEADER', {leader: 'ctl2'}));
  answer = json(200, {policy: DEFAULT_POLICY, revision: 9});
  const ended = await mailherd(['resume'], {MAILHERD_API: `http://127.0.0.1:1, ${follower}, ${base}`});
  expect(ended).toEqual({code: 0, out: 'Automatic work goes on.\n', err: ''});
});

test('what the leader knows is preferred to what another tells, and that to nothing', async () => {
  const says = (leads: string, value: unknown): typeof answer => {
    return (_request, response) => response.writeHead(200, {'mailherd-leads': leads}).end(JSON.stringify(value));
  };
  const follower = await listen(says('false', [{from: 'follower'}]));
  answer = says('true', [{from: 'leader'}]);
  const both = await mailherd(['hosts', '--json'], {MAILHERD_API: `${follower},${base}`});
  expect(both).toMatchObject({code: 0, out: expect.stringContaining('leader'), err: ''});
  const alone = await mailherd(['hosts', '--json'], {MAILHERD_API: `${follower},http://127.0.0.1:1`});
  expect(alone).toMatchObject({code: 0, out: expect.stringContaining('follower'), err: expect.stringContaining('does not lead')});
});

test('a coordinator that hangs does not keep the next from being asked', async () => {
  const hanging = await listen(() => undefined);
  answer = json(200, {policy: DEFAULT_POLICY, revision: 9});
  const ended = await mailherd(['pause'], {MAILHERD_API: `${hanging},${base}`});
  expect(ended).toMatchObject({code: 0, out: expect.stringContaining('is paused')});
});

test('what is proposed is approved by label; one that is refused does not keep the others', async () => {
  const host = (name: string, os: string) => ({record: {host: name, role: 'backend', stage: 'active', labels: {os}}});
  const decided = (name: string, mode: string) => ({kind: 'evacuate', host: name, atMs: 1, because: 'x', evidence: [], vetoes: [], mode});
  answer = (request, response) => {
    const decisions = [decided('be01', 'approve'), decided('be02', 'approve'), decided('be03', 'on'), decided('be04', 'approve')];
    if (request.url === '/v1/hosts')
      json(200, ['be01', 'be02', 'be03'].map(name => host(name, 'new')).concat(host('be04', 'old')))(request, response);
    else if (request.url === '/v1/verdicts') json(200, {decisions})(request, response);
    else if (requests.at(-1)?.body.includes('be01')) refusal('DECISION_VETOED')(request, response);
    else json(202, decided('be02', 'approve'))(request, response);
  };
  const {code, out, err} = await mailherd(['approve', 'evacuate', 'os=new']);
  expect(requests.slice(2).map(({body}) => JSON.parse(body))).toEqual([
    {kind: 'evacuate', host: 'be01'},
    {kind: 'evacuate', host: 'be02'},
  ]);
  expect(code).toBe(1);
  expect([out, err]).toEqual([expect.stringContaining('Approved: evacuate be02'), expect.stringContaining('DECISION_VETOED')]);
  expect(await mailherd(['approve', 'cordon', 'os=new'])).toMatchObject({code: 1, err: expect.stringContaining('DECISION_UNKNOWN')});
});

test('policy set reads, changes, and writes from the revision it read', async () => {
  answer = json(200, {policy: DEFAULT_POLICY, revision: 9});
  expect((await mailherd(['policy', 'set', 'modes.evacuate=on', 'move.retainMs=5000'])).code).toBe(0);
  const put = JSON.parse(requests[1]?.body ?? '') as {policy: typeof DEFAULT_POLICY; revision: number};
  expect(put.revision).toBe(9);
  expect(put.policy).toEqual({
    ...DEFAULT_POLICY,
    modes: {...DEFAULT_POLICY.modes, evacuate: 'on'},
    move: {...DEFAULT_POLICY.move, retainMs: 5_000},
  });
  expect(await mailherd(['policy', 'set', 'modes.evacute=on'])).toMatchObject({code: 1, err: expect.stringContaining('INPUT_INVALID')});
  expect(requests.at(-1)?.method).toBe('GET');
});

test('names of users are escaped on the way', async () => {
  answer = refusal('USER_UNKNOWN');
  await mailherd(['user', 'a/b?c@example.org']);
  expect(requests[0]?.url).toBe('/v1/users/a%2Fb%3Fc%40example.org');
});

test('events: taken up again where the stream broke', async () => {
  const event = (sequence: number): string =>
    `id: ${sequence}\nevent: resumed\ndata: ${JSON.stringify({v: 1, id: `event-${sequence}`, type: 'resumed', host: null, atMs: 1, data: {by: 'ada'}})}\n\n`;
  answer = (request, response) => {
    if (requests.length === 3) return refusal('FORBIDDEN')(request, response);
    response.writeHead(200, {'content-type': 'text/event-stream'});
    return response.end(`: hello\n\n${event(requests.length * 2 - 1)}${event(requests.length * 2)}id: 99\ndata: {"cut`);
  };
  const {code, out} = await mailherd(['events', '--since', '0', '--json']);
  expect(code).toBe(1);
  expect(
    out
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as {sequence: number}).sequence),
  ).toEqual([1, 2, 3, 4]);
  expect(requests.map(({url}) => url)).toEqual(['/v1/events?since=0', '/v1/events?since=2', '/v1/events?since=4']);
});

test('events: only of the types and hosts that are asked for', async () => {
  const event = (sequence: number, type: string, host: string | null): string =>
    `id: ${sequence}\ndata: ${JSON.stringify({v: 1, id: `event-${sequence}`, type, host, atMs: 1, data: {by: 'ada'}})}\n\n`;
  answer = (request, response) => {
    if (requests.length === 2) return refusal('FORBIDDEN')(request, response);
    const all = [event(1, 'resumed', null), event(2, 'hostUncordoned', 'be01'), event(3, 'resumed', 'be02'), event(4, 'paused', null)];
    return response.writeHead(200, {'content-type': 'text/event-stream'}).end(all.join(''));
  };
  const {out} = await mailherd(['events', '--since', '0', '--json', '--type', 'resumed', 'hostUncordoned', '--host', 'farm', 'be01']);
  expect(
    out
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as {sequence: number}).sequence),
  ).toEqual([1, 2]);
});

test('help has examples for every command of an operator', async () => {
  const {code, out} = await mailherd(['--help']);
  expect(code).toBe(0);
  const commands = operatorCommands();
  const names = commands.map(command => command.name());
  const wanted = 'status hosts host users user verdicts moves evacuate move cordon uncordon pause resume purge policy events hurt';
  expect(names).toEqual(expect.arrayContaining(wanted.split(' ')));
  for (const name of [...names, 'init', 'agent', 'coordinator']) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
  for (const command of commands.flatMap(one => (one.commands.length === 0 ? [one] : one.commands))) {
    let help = '';
    command.configureOutput({
      writeOut: text => {
        help += text;
      },
    });
    command.outputHelp();
    expect(help).toMatch(new RegExp(`\\$ mailherd .*${command.name()}`));
  }
});
