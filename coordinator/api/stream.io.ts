import type {FastifyInstance} from 'fastify';
import Type from 'typebox';
import type {Clock} from '../../base/clock.ts';
import {MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import {FarmEvent} from '../../wire/event.ts';
import type {EventFeed} from './ports.ts';

const HEARTBEAT_MS = 15 * SECOND_MS;
const STREAMS_MAX = 200;
/** A reader that lets this much pile up is cut off; it comes back with `since` and misses nothing. */
const BACKLOG_BYTES_MAX = 4 * 1_048_576;

const Sequence = Type.String({pattern: '^[0-9]{1,15}$', description: 'sequence of the last event seen'});
const EventsQuery = Type.Object({since: Type.Optional(Sequence)}, {additionalProperties: false});

/**
 * GET /v1/events: server-sent events (HTML Living Standard, 9.2). `id` is the sequence in the event stream, `event` the type, `data` the
 * FarmEvent; `?since=` or the Last-Event-ID header replays what came after it.
 */
export function mountEvents(app: FastifyInstance, feed: EventFeed, clock: Clock): void {
  const closing = new AbortController();
  let open = 0;
  app.addHook('preClose', async () => closing.abort());
  app.get(
    '/v1/events',
    {schema: {summary: 'Events as they happen', querystring: EventsQuery, response: {200: FarmEvent}}},
    async (request, reply) => {
      if (open >= STREAMS_MAX) throw new MailherdError('API_FAILED', {reason: 'too many event streams', open});
      const {since} = request.query as Type.Static<typeof EventsQuery>;
      const last = since ?? request.headers['last-event-id'];
      if (typeof last === 'string' && !/^\d{1,15}$/.test(last))
        throw new MailherdError('INPUT_INVALID', {path: '/since', reason: 'must be a sequence'});
      reply.hijack();
      const {raw} = reply;
      const gone = new AbortController();
      raw.on('close', () => gone.abort());
      const signal = AbortSignal.any([gone.signal, closing.signal]);
      raw.writeHead(200, {'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no'});
      raw.write(': mailherd events\n\n');
      open++;
      const beats = heartbeat(raw, clock, signal);
      try {
        await feed.follow(
          typeof last === 'string' ? Number(last) : null,
          (sequence, event) => {
            raw.write(`id: ${sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
            return raw.writableLength < BACKLOG_BYTES_MAX;
          },
          signal,
        );
      } catch (error) {
        request.log.warn({err: error}, 'event stream ended');
      } finally {
        open--;
        gone.abort();
        await beats;
        raw.end();
      }
    },
  );
}

async function heartbeat(raw: {write(text: string): boolean}, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    await clock.sleep(HEARTBEAT_MS, signal);
    if (signal.aborted) return;
    raw.write(': still here\n\n');
  }
}
