import swagger from '@fastify/swagger';
import Fastify, {type FastifyBaseLogger, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest} from 'fastify';
import type Type from 'typebox';
import type {Clock} from '../../base/clock.ts';
import {CODES, MailherdError, toRefusal} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import {packageVersion} from '../../base/version.io.ts';
import {ErrorView, LEADS_HEADER} from '../../wire/api.ts';
import {parse} from '../../wire/codec.ts';
import {type EventData, eventSchema} from '../../wire/event.ts';
import type {Audit} from '../audit.io.ts';
import type {ApiToken} from '../config.ts';
import {authenticate, authorize, type Caller} from './auth.io.ts';
import type {ApiPorts} from './ports.ts';
import {API_ROUTES, type ApiRoute} from './routes.ts';
import {mountEvents} from './stream.io.ts';

/** A user name is up to 255 bytes, three times as many characters when each is escaped. */
const PARAM_CHARS_MAX = 1_024;
const BODY_BYTES_MAX = 1_048_576;
/** A request must have come within this; its answer may take longer. */
const REQUEST_MS = 30 * SECOND_MS;
/** What stops work is done though it cannot be written down. */
const STOPS: ReadonlySet<string> = new Set(['/v1/pause', '/v1/hosts/:host/pause']);

export interface ApiDeps {
  ports: ApiPorts;
  /** Asked at each call: they may change while it runs. */
  tokens: () => readonly ApiToken[];
  audit: Audit;
  clock: Clock;
  log: FastifyBaseLogger;
  /** For watching; publishing must not delay an answer. */
  apiCalled: (call: EventData<'apiCalled'>) => void;
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
  }
}

/** The HTTP API, ready to listen. Only /healthz answers without a token. */
export async function buildApi(deps: ApiDeps): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: deps.log,
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: {maxParamLength: PARAM_CHARS_MAX},
    forceCloseConnections: true,
    requestTimeout: REQUEST_MS,
  });
  app.setValidatorCompiler(
    ({schema, httpPart}) =>
      value =>
        check(schema as Type.TSchema, value, httpPart ?? 'body'),
  );
  app.setSerializerCompiler(() => value => JSON.stringify(value));
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(error, request, reply));
  app.setNotFoundHandler(request => {
    throw new MailherdError('PATH_UNKNOWN', {method: request.method, path: request.url.split('?')[0]});
  });
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async request => {
    if (request.url === '/healthz') return;
    request.caller = authenticate(request.headers.authorization, deps.tokens());
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {title: 'Mailherd', version: packageVersion(), description: 'Runs a farm of mail hosts. Every error is an ErrorView.'},
      components: {securitySchemes: {bearer: {type: 'http', scheme: 'bearer'}}},
      security: [{bearer: []}],
    },
  });
  await app.register(async scope => {
    for (const route of API_ROUTES) mount(scope, route, deps);
    mountEvents(scope, deps.ports.events, deps.clock);
  });
  app.get('/healthz', {schema: {hide: true}}, async () => ({ok: true}));
  app.get('/metrics', {schema: {hide: true}}, async (_request, reply) =>
    reply.type('text/plain; version=0.0.4').send(deps.ports.reads.metrics()),
  );
  app.get('/events.schema.json', {schema: {hide: true}}, async () => eventSchema());
  app.get('/openapi.json', {schema: {hide: true}}, async () => app.swagger());
  return app;
}

function check(schema: Type.TSchema, value: unknown, part: string): {value: unknown} | {error: Error} {
  try {
    return {value: parse(schema, part === 'body' && (value === undefined || value === null) ? {} : value, `the request's ${part}`)};
  } catch (error) {
    if (error instanceof MailherdError) return {error};
    throw error;
  }
}

function mount(app: FastifyInstance, route: ApiRoute, deps: ApiDeps): void {
  const {method, path, summary, params, query, body, answer, status} = route;
  const isWrite = body !== null;
  app.route({
    method,
    url: path,
    schema: {summary, params, querystring: query, ...(isWrite && {body}), response: {[status]: answer, default: ErrorView}},
    preHandler: async request => {
      if (request.caller === null) throw new MailherdError('UNAUTHORIZED');
      authorize(request.caller, isWrite ? 'operate' : 'read');
    },
    handler: async (request, reply) => {
      const by = request.caller?.name ?? '';
      const {ports} = deps;
      const run = async (): Promise<unknown> => {
        return route.run({ports, by, params: request.params, query: request.query, body: request.body} as Parameters<ApiRoute['run']>[0]);
      };
      reply.status(status);
      // What waits, and sizes, are known to the leader alone: a client with several addresses would rather have its answer.
      if (!isWrite) reply.header(LEADS_HEADER, String(ports.leads()));
      return isWrite ? audited(deps, route, by, request, run) : run();
    },
  });
}

/** A change is written down before it is tried and again with what came of it; one that cannot be written down is not tried, unless it stops work. */
async function audited(deps: ApiDeps, route: ApiRoute, by: string, request: FastifyRequest, run: () => Promise<unknown>): Promise<unknown> {
  const {audit, clock} = deps;
  const action = `${route.method} ${route.path}`;
  const subject = Object.values(request.params as Record<string, string>)[0] ?? null;
  const detail = {body: request.body};
  try {
    await audit.write({atMs: clock.now(), by, action, subject, detail, result: 'asked'});
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (!STOPS.has(route.path)) throw new MailherdError('AUDIT_FAILED', {reason}, {cause});
    deps.log.error({by, action, subject, detail, reason}, 'not written down, and done all the same');
    return run();
  }
  const path = request.url.split('?')[0] ?? route.path;
  try {
    const answer = await run();
    await audit.write({atMs: clock.now(), by, action, subject, detail: {}, result: 'ok'});
    deps.apiCalled({by, method: route.method, path, status: route.status});
    return answer;
  } catch (error) {
    const refusal = toRefusal(error);
    const {http} = CODES[refusal.code];
    await audit.write({atMs: clock.now(), by, action, subject, detail: {refusal}, result: http < 500 ? 'refused' : 'failed'});
    deps.apiCalled({by, method: route.method, path, status: http});
    throw error;
  }
}

function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asMailherdError(error);
  const {http, next} = CODES[known.code];
  if (http >= 500 && known.code !== 'NOT_LEADER') request.log.error({err: error}, 'request failed');
  // What we did not foresee may carry anything in its text: the log has it, the caller gets the code.
  const detail = known.code === 'INTERNAL' ? {} : {...known.detail};
  const message = known.code === 'INTERNAL' ? CODES.INTERNAL.text : known.message;
  return reply.status(http).send({error: {code: known.code, detail}, next, message} satisfies ErrorView);
}

function asMailherdError(error: FastifyError | Error): MailherdError {
  if (error instanceof MailherdError) return error;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (status !== undefined && status >= 400 && status < 500)
    return new MailherdError('INPUT_INVALID', {reason: error.message}, {cause: error});
  return new MailherdError('INTERNAL', {reason: error.message}, {cause: error});
}
