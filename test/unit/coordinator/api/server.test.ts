import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {createParser} from 'eventsource-parser';
import type {FastifyInstance} from 'fastify';
import {pino} from 'pino';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {MailherdError} from '../../../../base/errors.ts';
import type {ApiPorts, Reads, Writes} from '../../../../coordinator/api/ports.ts';
import {API_ROUTES} from '../../../../coordinator/api/routes.ts';
import {buildApi} from '../../../../coordinator/api/server.io.ts';
import type {AuditLine} from '../../../../coordinator/audit.io.ts';
import type {ApiToken} from '../../../../coordinator/config.ts';
import {newHost} from '../../../../coordinator/host/life.ts';
import {ErrorView} from '../../../../wire/api.ts';
import {fits} from '../../../../wire/codec.ts';
import {EVENTS as EVENT_TYPES, type FarmEvent} from '../../../../wire/event.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {Decision, Plan} from '../../../../wire/record.ts';
import {FakeClock, settle} from '../fakes.ts';

const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex');
const TOKENS = [
  {name: 'grafana', role: 'read', sha256: sha256('read-token')},
  {name: 'ada', role: 'operate', sha256: sha256('operate-token')},
] as const;
const READ = {authorization: 'Bearer read-token'};
const OPERATE = {authorization: 'Bearer operate-token'};
const PLAN: Plan = {
  v: 1,
  id: 'plan-0001',
  parent: null,
  generation: 1,
  createdAtMs: 1,
  kind: 'evacuate',
  because: 'x',
  moves: [],
  unplaced: [],
};
const DECISION: Decision = {kind: 'evacuate', host: 'be01', atMs: 1, because: 'x', evidence: [], vetoes: [], mode: 'approve'};
const EVENTS: FarmEvent[] = [1, 2, 3].map(n => ({v: 1, id: `event-000${n}`, type: 'resumed', host: null, atMs: n, data: {by: 'ada'}}));

let app: FastifyInstance;
let tokens: readonly ApiToken[];
let calls: unknown[][];
let lines: AuditLine[];
let logged: string;
let isAuditBroken: boolean;
let failure: Error | null;
const clock = new FakeClock();

function fakePorts(): ApiPorts {
  const noted =
    (name: string, answer: unknown) =>
    async (...args: unknown[]): Promise<never> => {
      calls.push([name, ...args]);
      if (failure !== null) throw failure;
      return answer as never;
    };
  const record = newHost('be01', 'backend', '10.0.0.1', 'ada', 1);
  const reads = {
    farm: () => ({leader: 'ctl1', answeredBy: 'ctl1', token: 3, nowMs: 1, paused: null, hosts: 0, users: 0, hurt: null}),
    host: (host: string) => {
      throw new MailherdError('HOST_UNKNOWN', {host});
    },
    user: (user: string) => ({user, host: 'be01', generation: 1, moveId: null, held: false, bytes: null, messages: null}),
    users: (filter: unknown) => {
      calls.push(['users', filter]);
      return {users: [], next: null};
    },
    moves: (waitingMax: number | null) => {
      calls.push(['moves', waitingMax]);
      return {moves: [], waiting: [], done: 0, total: 0, etaMs: null};
    },
    policy: () => ({policy: DEFAULT_POLICY, revision: 4}),
    metrics: () => 'mailherd_hosts 3\n',
  } as unknown as Reads;
  const writes: Writes = {
    addHost: noted('addHost', record),
    addUser: noted('addUser', {}),
    evacuate: noted('evacuate', {plan: PLAN, dryRun: true}),
    approve: noted('approve', DECISION),
    pauseEvacuation: noted('pauseEvacuation', record),
    resumeEvacuation: noted('resumeEvacuation', record),
    cancelEvacuation: noted('cancelEvacuation', record),
    relieve: noted('relieve', {host: 'be01', queued: 3, elsewhere: 1, outgoing: 1}),
    move: noted('move', {plan: PLAN, dryRun: false}),
    rebalance: noted('rebalance', {plan: PLAN, dryRun: true}),
    whatIf: noted('whatIf', {}),
    cancelMove: noted('cancelMove', undefined),
    reverse: noted('reverse', {plan: PLAN, dryRun: false}),
    purge: noted('purge', undefined),
    cordon: noted('cordon', record),
    uncordon: noted('uncordon', record),
    retire: noted('retire', record),
    reinstall: noted('reinstall', record),
    tune: noted('tune', undefined),
    untune: noted('untune', undefined),
    pause: noted('pause', {policy: DEFAULT_POLICY, revision: 5}),
    resume: noted('resume', {policy: DEFAULT_POLICY, revision: 5}),
    setPolicy: noted('setPolicy', {policy: DEFAULT_POLICY, revision: 5}),
  };
  return {
    reads,
    writes: () => writes,
    leads: () => false,
    events: {
      follow: async (since, onEvent, signal) => {
        EVENTS.forEach((event, index) => {
          if (since !== null && index + 1 > since) onEvent(index + 1, event);
        });
        await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
      },
    },
  };
}

beforeEach(async () => {
  tokens = TOKENS;
  calls = [];
  lines = [];
  logged = '';
  isAuditBroken = false;
  failure = null;
  app = await buildApi({
    ports: fakePorts(),
    tokens: () => tokens,
    audit: {
      write: async line => {
        if (isAuditBroken) throw new Error('disk full');
        lines.push(line);
      },
    },
    clock,
    log: pino(
      {level: 'trace'},
      {
        write: (text: string) => {
          logged += text;
        },
      },
    ),
    apiCalled: call => calls.push(['apiCalled', call.path, call.status]),
  });
});
afterEach(() => app.close());

describe('who may call', () => {
  test('only /healthz answers without a token', async () => {
    expect((await app.inject({url: '/healthz'})).statusCode).toBe(200);
    for (const url of ['/v1/farm', '/metrics', '/openapi.json', '/events.schema.json', '/v1/events', '/nowhere', '/healthz?x=1']) {
      const answer = await app.inject({url});
      expect([url, answer.statusCode, answer.json().error.code]).toEqual([url, 401, 'UNAUTHORIZED']);
    }
  });

  test.each(['Bearer wrong', 'Bearer ', 'Basic read-token', 'read-token', 'Bearer read-token x', ''])(
    '%j is nobody',
    async authorization => {
      expect((await app.inject({url: '/v1/farm', headers: {authorization}})).statusCode).toBe(401);
    },
  );

  test('a token that may read cannot change anything, on any route', async () => {
    for (const {method, path, body} of API_ROUTES) {
      if (body === null) continue;
      const url = path.replace(':host', 'be01').replace(':id', 'move-0001');
      const payload: Record<string, object> = {
        '/v1/hosts': {host: 'be09', role: 'backend', address: '10.0.0.9'},
        '/v1/users': {user: 'a@example.org'},
        '/v1/moves': {user: 'a@example.org'},
        '/v1/reverse': {moves: ['move-0001']},
        '/v1/purge': {moves: ['move-0001']},
        '/v1/policy': {policy: DEFAULT_POLICY, revision: 4},
        '/v1/decisions/approve': {kind: 'evacuate', host: 'be01'},
        '/v1/hosts/:host/reinstall': {release: 'debian-12'},
        '/v1/hosts/:host/tune': {advice: 'fs.file-max=200'},
        '/v1/hosts/:host/untune': {knob: 'fs.file-max'},
      };
      const request = {method, url, payload: payload[path] ?? {}};
      const refused = await app.inject({...request, headers: READ});
      expect([path, refused.statusCode, refused.json().error.code]).toEqual([path, 403, 'FORBIDDEN']);
      expect(calls).toEqual([]);
      const done = await app.inject({...request, headers: OPERATE});
      expect([path, done.statusCode < 300]).toEqual([path, true]);
      expect(calls.length).toBe(2);
      calls = [];
    }
  });

  test('tokens never reach the log', async () => {
    await app.inject({url: '/v1/farm', headers: READ});
    await app.inject({url: '/v1/farm', headers: {authorization: 'Bearer mistyped-token'}});
    expect(logged).toContain('/v1/farm');
    expect(logged).not.toMatch(/read-token|mistyped-token/);
  });
});

describe('answers', () => {
  test('unknown things are 404 with their code, and every error is an ErrorView', async () => {
    const host = await app.inject({url: '/v1/hosts/be77', headers: READ});
    expect([host.statusCode, host.json()]).toEqual([
      404,
      {error: {code: 'HOST_UNKNOWN', detail: {host: 'be77'}}, next: 'fix', message: expect.any(String)},
    ]);
    const path = await app.inject({url: '/v2/farm?token=x', headers: READ});
    expect([path.statusCode, path.json().error]).toEqual([404, {code: 'PATH_UNKNOWN', detail: {method: 'GET', path: '/v2/farm'}}]);
    expect(fits(ErrorView, path.json())).toBe(true);
  });

  test.each([
    ['POST', '/v1/purge', {moves: []}],
    ['POST', '/v1/purge', {}],
    ['POST', '/v1/hosts', {host: 'BE 09', role: 'backend', address: '10.0.0.9'}],
    ['POST', '/v1/hosts/be01/evacuate', {dryrun: true}],
    ['PUT', '/v1/policy', {policy: {...DEFAULT_POLICY, modes: {}}, revision: 4}],
  ] as const)('%s %s with %j is refused before anything is done', async (method, url, payload) => {
    const answer = await app.inject({method, url, payload, headers: OPERATE});
    expect([answer.statusCode, answer.json().error.code]).toEqual([400, 'INPUT_INVALID']);
    expect(answer.json().error.detail.reason).toBeTruthy();
    expect([calls, lines]).toEqual([[], []]);
  });

  test('text that is not JSON, and names that are not names', async () => {
    const headers = {...OPERATE, 'content-type': 'application/json'};
    expect((await app.inject({method: 'POST', url: '/v1/pause', payload: '{', headers})).json().error.code).toBe('INPUT_INVALID');
    expect((await app.inject({url: '/v1/hosts/be_01', headers: READ})).json().error.code).toBe('INPUT_INVALID');
    expect((await app.inject({url: '/v1/users?limit=0', headers: READ})).json().error.code).toBe('INPUT_INVALID');
    expect((await app.inject({url: `/v1/users/${encodeURIComponent('ü'.repeat(120))}@x.org`, headers: READ})).statusCode).toBe(200);
  });

  test('a refusal keeps code, status and detail; an unforeseen failure tells nothing of itself', async () => {
    failure = new MailherdError('DOES_NOT_FIT', {missingBytes: 5});
    const refused = await app.inject({method: 'POST', url: '/v1/hosts/be01/evacuate', payload: {}, headers: OPERATE});
    expect([refused.statusCode, refused.json().next, refused.json().error]).toEqual([
      409,
      'replan',
      {code: 'DOES_NOT_FIT', detail: {missingBytes: 5}},
    ]);
    failure = new MailherdError('NOT_LEADER', {leader: 'ctl2'});
    expect((await app.inject({method: 'POST', url: '/v1/resume', headers: OPERATE})).statusCode).toBe(503);
    failure = new Error('password is hunter2');
    const failed = await app.inject({method: 'POST', url: '/v1/resume', headers: OPERATE});
    expect(failed.statusCode).toBe(500);
    expect(failed.body).not.toContain('hunter2');
  });

  test('dry run, page of users and metrics reach their ports as asked', async () => {
    await app.inject({method: 'POST', url: '/v1/hosts/be01/evacuate', payload: {dryRun: true}, headers: OPERATE});
    expect(calls[0]).toEqual(['evacuate', 'ada', 'be01', {dryRun: true}]);
    await app.inject({url: '/v1/users?host=be01&after=a%40b.org&limit=20', headers: READ});
    expect(calls.at(-1)).toEqual(['users', {host: 'be01', after: 'a@b.org', limit: 20}]);
    const metrics = await app.inject({url: '/metrics', headers: READ});
    expect([metrics.headers['content-type'], metrics.body]).toEqual(['text/plain; version=0.0.4', 'mailherd_hosts 3\n']);
  });

  test('a token that leaked is void from the next call on', async () => {
    expect((await app.inject({url: '/v1/farm', headers: OPERATE})).statusCode).toBe(200);
    tokens = TOKENS.filter(({name}) => name !== 'ada');
    expect((await app.inject({url: '/v1/farm', headers: OPERATE})).statusCode).toBe(401);
    expect((await app.inject({url: '/v1/farm', headers: READ})).statusCode).toBe(200);
  });

  test('how many moves are listed is asked in the query', async () => {
    expect((await app.inject({url: '/v1/moves?waiting=20', headers: READ})).statusCode).toBe(200);
    await app.inject({url: '/v1/moves', headers: READ});
    expect(calls).toEqual([
      ['moves', 20],
      ['moves', null],
    ]);
    expect((await app.inject({url: '/v1/moves?waiting=many', headers: READ})).statusCode).toBe(400);
  });

  test('who does not lead says so with what it tells', async () => {
    const reply = await app.inject({url: '/v1/farm', headers: READ});
    expect(reply.headers['mailherd-leads']).toBe('false');
  });

  test('openapi.json tells every route with its schemas', async () => {
    const api = (await app.inject({url: '/openapi.json', headers: READ})).json();
    const told = Object.entries(api.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method} ${path}`),
    );
    expect(told.sort()).toEqual(
      [...API_ROUTES.map(({method, path}) => `${method.toLowerCase()} ${path.replace(/:(\w+)/g, '{$1}')}`), 'get /v1/events'].sort(),
    );
    const body = api.paths['/v1/purge'].post.requestBody.content['application/json'].schema;
    expect(body.properties.moves).toMatchObject({type: 'array', minItems: 1});
    expect(api.paths['/v1/farm'].get.responses['200'].content['application/json'].schema.properties.answeredBy).toEqual({type: 'string'});
  });
});

test('the schema of events, which the documentation of events names one by one', async () => {
  const schema = (await app.inject({url: '/events.schema.json', headers: READ})).json();
  expect(schema.oneOf).toHaveLength(Object.keys(EVENT_TYPES).length);
  expect(schema.oneOf).toContainEqual({
    properties: {type: {const: 'hostUncordoned'}, data: {type: 'object', required: ['by'], properties: {by: {type: 'string'}}}},
  });
  const page = readFileSync('docs/EVENTS.md', 'utf8');
  expect(Object.keys(EVENT_TYPES).filter(type => !page.includes(`\`${type}\``))).toEqual([]);
});

describe('audit', () => {
  test('a change is written down before and after, with who, what and what came of it', async () => {
    await app.inject({method: 'POST', url: '/v1/hosts/be01/cordon', payload: {reason: 'noisy disk'}, headers: OPERATE});
    expect(lines).toMatchObject([
      {by: 'ada', action: 'POST /v1/hosts/:host/cordon', subject: 'be01', detail: {body: {reason: 'noisy disk'}}, result: 'asked'},
      {by: 'ada', action: 'POST /v1/hosts/:host/cordon', subject: 'be01', result: 'ok'},
    ]);
    expect(calls.at(-1)).toEqual(['apiCalled', '/v1/hosts/be01/cordon', 200]);
    failure = new MailherdError('HOST_STATE', {});
    await app.inject({method: 'POST', url: '/v1/hosts/be01/uncordon', headers: OPERATE});
    expect(lines.at(-1)).toMatchObject({result: 'refused', detail: {refusal: {code: 'HOST_STATE'}}});
    expect(calls.at(-1)).toEqual(['apiCalled', '/v1/hosts/be01/uncordon', 409]);
  });

  test('what cannot be written down is not done, and why is told; what stops work is', async () => {
    isAuditBroken = true;
    const refused = await app.inject({method: 'POST', url: '/v1/hosts/be01/evacuate', payload: {}, headers: OPERATE});
    expect([refused.statusCode, refused.json()]).toMatchObject([503, {error: {code: 'AUDIT_FAILED', detail: {reason: 'disk full'}}}]);
    expect(calls).toEqual([]);
    for (const url of ['/v1/pause', '/v1/hosts/be01/pause'])
      expect((await app.inject({method: 'POST', url, payload: {}, headers: OPERATE})).statusCode).toBe(200);
    expect(calls.map(([name]) => name)).toEqual(['pause', 'pauseEvacuation']);
    expect(logged).toContain('done all the same');
  });

  test('reading leaves no line', async () => {
    await app.inject({url: '/v1/farm', headers: OPERATE});
    expect(lines).toEqual([]);
  });
});

describe('event stream', () => {
  async function read(
    path: string,
    headers: Record<string, string>,
    count: number,
  ): Promise<{id: string | undefined; type: string | undefined; data: string}[]> {
    const stop = new AbortController();
    const base = await app.listen({port: 0, host: '127.0.0.1'});
    const response = await fetch(`${base}${path}`, {headers: {...READ, ...headers}, signal: stop.signal});
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const seen: {id: string | undefined; type: string | undefined; data: string}[] = [];
    const parser = createParser({onEvent: event => seen.push({id: event.id, type: event.event, data: event.data})});
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      parser.feed(decoder.decode(chunk as Uint8Array, {stream: true}));
      if (seen.length >= count) break;
    }
    stop.abort();
    return seen;
  }

  test('replays what came after the sequence, by query or by Last-Event-ID', async () => {
    const events = await read('/v1/events?since=1', {}, 2);
    expect(events.map(({id, type}) => [id, type])).toEqual([
      ['2', 'resumed'],
      ['3', 'resumed'],
    ]);
    expect(JSON.parse(events[0]?.data ?? '')).toEqual(EVENTS[1]);
  });

  test('Last-Event-ID stands in for since', async () => {
    expect((await read('/v1/events', {'last-event-id': '2'}, 1)).map(({id}) => id)).toEqual(['3']);
  });

  test('nonsense is refused, and closing the server ends open streams', async () => {
    expect((await app.inject({url: '/v1/events?since=yesterday', headers: READ})).statusCode).toBe(400);
    const base = await app.listen({port: 0, host: '127.0.0.1'});
    const response = await fetch(`${base}/v1/events`, {headers: READ});
    const ended = response.text().catch(() => 'cut');
    await settle();
    await app.close();
    expect(await ended).toBeTruthy();
  });
});
