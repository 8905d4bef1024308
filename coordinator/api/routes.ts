import Type from 'typebox';
import {
  Approve,
  Evacuate,
  FarmView,
  HostView,
  HurtView,
  IncidentsView,
  MoveIds,
  MovesView,
  NewHost,
  NewMove,
  NewUser,
  PlanView,
  PolicyView,
  Reasoned,
  Rebalance,
  Reinstall,
  ReliefView,
  Relieve,
  UsersView,
  UserView,
  VerdictsView,
  WhatIf,
  WhatIfView,
} from '../../wire/api.ts';
import {Incident} from '../../wire/incident.ts';
import {Decision, HostRecord, MoveRecord, Plan} from '../../wire/record.ts';
import {Route} from '../../wire/route.ts';
import {HostName, MoveId, PlanId, UserName, WrittenUserName} from '../../wire/schema.ts';
import {ApproveAdvice, RevertKnob, TuneView} from '../../wire/tune.ts';
import type {ApiPorts} from './ports.ts';

/** One call as a route sees it; everything is checked against the route's schemas before. */
export interface Call<P, Q, B> {
  ports: ApiPorts;
  /** Name of the caller's token. */
  by: string;
  params: P;
  query: Q;
  body: B;
}

/** A row of the API: what the server mounts, and what openapi.json tells. */
export interface ApiRoute {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  summary: string;
  params: Type.TSchema;
  query: Type.TSchema;
  body: Type.TSchema | null;
  answer: Type.TSchema;
  status: 200 | 201 | 202;
  run: (call: Call<never, never, never>) => unknown;
}

const Nothing = Type.Object({}, {additionalProperties: false});
const OfHost = Type.Object({host: HostName});
const OfUser = Type.Object({user: WrittenUserName});
const OfMove = Type.Object({id: MoveId});
const OfIncident = Type.Object({id: Type.String({pattern: '^[0-9]{1,15}$', description: 'id of an incident'})});
const OfPlan = Type.Object({id: Type.Union([PlanId, Type.Literal('current')])});
const UsersQuery = Type.Object(
  {
    host: Type.Optional(HostName),
    after: Type.Optional(UserName),
    limit: Type.Optional(Type.String({pattern: '^[1-9][0-9]{0,4}$', description: 'at most this many, 1000 unless told'})),
  },
  {additionalProperties: false},
);
const MovesQuery = Type.Object(
  {waiting: Type.Optional(Type.String({pattern: '^[0-9]{1,6}$', description: 'list at most so many that wait, and count the others'}))},
  {additionalProperties: false},
);
const Done = Type.Object({done: Type.Literal(true)});
const done = {done: true} as const;
const LIMIT = 1_000;

interface Shape<P extends Type.TSchema, Q extends Type.TSchema, A extends Type.TSchema> {
  params?: P;
  query?: Q;
  answer: A;
}

function read<A extends Type.TSchema, P extends Type.TSchema = typeof Nothing, Q extends Type.TSchema = typeof Nothing>(
  path: string,
  summary: string,
  shape: Shape<P, Q, A>,
  run: (call: Call<Type.Static<P>, Type.Static<Q>, undefined>) => Type.Static<A> | Promise<Type.Static<A>>,
): ApiRoute {
  const {params = Nothing, query = Nothing, answer} = shape;
  return {method: 'GET', path, summary, params, query, body: null, answer, status: 200, run: run as ApiRoute['run']};
}

function write<A extends Type.TSchema, B extends Type.TSchema, P extends Type.TSchema = typeof Nothing>(
  method: 'POST' | 'PUT',
  path: string,
  summary: string,
  shape: {params?: P; body: B; answer: A; status?: ApiRoute['status']},
  run: (call: Call<Type.Static<P>, undefined, Type.Static<B>>) => Promise<Type.Static<A>>,
): ApiRoute {
  const {params = Nothing, body, answer, status = 200} = shape;
  return {method, path, summary, params, query: Nothing, body, answer, status, run: run as ApiRoute['run']};
}

const READS: readonly ApiRoute[] = [
  read('/v1/farm', 'The farm at a glance', {answer: FarmView}, ({ports}) => ports.reads.farm()),
  read('/v1/hosts', 'All hosts with verdict, load and moves', {answer: Type.Array(HostView)}, ({ports}) => ports.reads.hosts()),
  read('/v1/hosts/:host', 'One host', {params: OfHost, answer: HostView}, ({ports, params}) => ports.reads.host(params.host)),
  read('/v1/users', 'Users in order of name, by page', {query: UsersQuery, answer: UsersView}, ({ports, query}) => {
    return ports.reads.users({
      host: query.host ?? null,
      after: query.after ?? null,
      limit: query.limit === undefined ? LIMIT : Number(query.limit),
    });
  }),
  read('/v1/users/:user', 'Where one user lives', {params: OfUser, answer: UserView}, ({ports, params}) => ports.reads.user(params.user)),
  read('/v1/verdicts', 'Verdicts, cohorts, and the share of customers hurt', {answer: VerdictsView}, ({ports}) => ports.reads.verdicts()),
  read('/v1/moves', 'Running, waiting and finished moves', {query: MovesQuery, answer: MovesView}, ({ports, query}) =>
    ports.reads.moves(query.waiting === undefined ? null : Number(query.waiting)),
  ),
  read('/v1/moves/:id', 'One move with its timeline', {params: OfMove, answer: MoveRecord}, ({ports, params}) =>
    ports.reads.move(params.id),
  ),
  read('/v1/plans/:id', 'One plan', {params: OfPlan, answer: Plan}, ({ports, params}) => ports.reads.plan(params.id)),
  read('/v1/policy', 'The policy and its revision', {answer: PolicyView}, ({ports}) => ports.reads.policy()),
  read('/v1/tune', 'Advice on kernel values, and what was changed', {answer: TuneView}, ({ports}) => ports.reads.tune()),
  read('/v1/incidents', 'Times of trouble', {answer: IncidentsView}, ({ports}) => ports.reads.incidents()),
  read('/v1/incidents/:id', 'One incident with its timeline', {params: OfIncident, answer: Incident}, ({ports, params}) =>
    ports.reads.incident(Number(params.id)),
  ),
  read('/v1/hurt', 'Customers hurt over time', {answer: HurtView}, ({ports}) => ports.reads.hurt()),
];

const WRITES: readonly ApiRoute[] = [
  write('POST', '/v1/hosts', 'A host has arrived', {body: NewHost, answer: HostRecord, status: 201}, ({ports, by, body}) => {
    return ports.writes().addHost(by, body);
  }),
  write('POST', '/v1/users', 'A new user gets a place', {body: NewUser, answer: Route, status: 201}, ({ports, by, body}) => {
    return ports.writes().addUser(by, body);
  }),
  write('POST', '/v1/moves', 'Move one mailbox', {body: NewMove, answer: PlanView, status: 202}, ({ports, by, body}) => {
    return ports.writes().move(by, body);
  }),
  write(
    'POST',
    '/v1/moves/:id/cancel',
    'Back out of a move before its flip',
    {params: OfMove, body: Reasoned, answer: Done},
    async call => {
      await call.ports.writes().cancelMove(call.by, call.params.id);
      return done;
    },
  ),
  write(
    'POST',
    '/v1/reverse',
    'Bring mailboxes back to the hosts they left, with what came since, while the copies there are retained',
    {body: MoveIds, answer: PlanView, status: 202},
    ({ports, by, body}) => ports.writes().reverse(by, body.moves),
  ),
  write('POST', '/v1/purge', 'Remove retained source copies, by explicit id', {body: MoveIds, answer: Done}, async ({ports, by, body}) => {
    await ports.writes().purge(by, body.moves);
    return done;
  }),
  write(
    'POST',
    '/v1/hosts/:host/evacuate',
    'Move every mailbox off a host',
    {params: OfHost, body: Evacuate, answer: PlanView, status: 202},
    call => {
      return call.ports.writes().evacuate(call.by, call.params.host, call.body);
    },
  ),
  write(
    'POST',
    '/v1/hosts/:host/pause',
    'No further mailbox leaves a host that is being emptied; those on their way arrive',
    {params: OfHost, body: Reasoned, answer: HostRecord},
    call => call.ports.writes().pauseEvacuation(call.by, call.params.host, call.body.reason ?? 'no reason given'),
  ),
  write('POST', '/v1/hosts/:host/resume', 'Mailboxes leave it again', {params: OfHost, body: Reasoned, answer: HostRecord}, call =>
    call.ports.writes().resumeEvacuation(call.by, call.params.host),
  ),
  write(
    'POST',
    '/v1/hosts/:host/cancel',
    'Keep a host that is being emptied: whoever has not been switched over stays',
    {params: OfHost, body: Reasoned, answer: HostRecord},
    call => call.ports.writes().cancelEvacuation(call.by, call.params.host),
  ),
  write(
    'POST',
    '/v1/hosts/:host/relieve',
    'The queue of this host drains to where users live now, and by a relay; or no longer',
    {params: OfHost, body: Relieve, answer: ReliefView},
    call => call.ports.writes().relieve(call.by, call.params.host, call.body),
  ),
  write('POST', '/v1/hosts/:host/cordon', 'No new mailbox for this host', {params: OfHost, body: Reasoned, answer: HostRecord}, call => {
    return call.ports.writes().cordon(call.by, call.params.host, call.body.reason ?? 'no reason given');
  }),
  write('POST', '/v1/hosts/:host/uncordon', 'Use this host again', {params: OfHost, body: Reasoned, answer: HostRecord}, call => {
    return call.ports.writes().uncordon(call.by, call.params.host);
  }),
  write('POST', '/v1/hosts/:host/retire', 'An empty host is gone for good', {params: OfHost, body: Reasoned, answer: HostRecord}, call => {
    return call.ports.writes().retire(call.by, call.params.host, call.body.reason ?? 'no reason given');
  }),
  write(
    'POST',
    '/v1/hosts/:host/reinstall',
    'Reinstall a host once it is proved empty',
    {params: OfHost, body: Reinstall, answer: HostRecord, status: 202},
    call => {
      return call.ports.writes().reinstall(call.by, call.params.host, call.body);
    },
  ),
  write(
    'POST',
    '/v1/hosts/:host/tune',
    'Follow an advice of this host',
    {params: OfHost, body: ApproveAdvice, answer: Done},
    async call => {
      await call.ports.writes().tune(call.by, call.params.host, call.body.advice);
      return done;
    },
  ),
  write('POST', '/v1/hosts/:host/untune', 'Give a kernel value back', {params: OfHost, body: RevertKnob, answer: Done}, async call => {
    await call.ports.writes().untune(call.by, call.params.host, call.body.knob);
    return done;
  }),
  write('POST', '/v1/rebalance', 'Even out the hosts', {body: Rebalance, answer: PlanView, status: 202}, ({ports, by, body}) => {
    return ports.writes().rebalance(by, body);
  }),
  write('POST', '/v1/plans/what-if', 'Plan for a farm that is not', {body: WhatIf, answer: WhatIfView}, ({ports, by, body}) => {
    return ports.writes().whatIf(by, body);
  }),
  write(
    'POST',
    '/v1/decisions/approve',
    'Let a decision that is only proposed be carried out',
    {body: Approve, answer: Decision, status: 202},
    call => {
      return call.ports.writes().approve(call.by, call.body);
    },
  ),
  write('POST', '/v1/pause', 'Stop all automatic work', {body: Reasoned, answer: PolicyView}, ({ports, by, body}) => {
    return ports.writes().pause(by, body.reason ?? 'no reason given');
  }),
  write('POST', '/v1/resume', 'Go on with automatic work', {body: Reasoned, answer: PolicyView}, ({ports, by}) =>
    ports.writes().resume(by),
  ),
  write(
    'PUT',
    '/v1/policy',
    'Change the policy, from the revision read before',
    {body: PolicyView, answer: PolicyView},
    ({ports, by, body}) => {
      return ports.writes().setPolicy(by, body);
    },
  ),
];

/** The whole API but for /healthz, /metrics, /openapi.json, /events.schema.json and the event stream, which server.io.ts adds. */
export const API_ROUTES: readonly ApiRoute[] = [...READS, ...WRITES];
