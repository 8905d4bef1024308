import {MailherdError} from '../base/errors.ts';
import {type Millis, SECOND_MS} from '../base/units.ts';
import {ErrorView, LEADS_HEADER} from '../wire/api.ts';
import {fits} from '../wire/codec.ts';
import type {Access} from './config.ts';
import {EventLines} from './event-lines.ts';

/** Planning a big evacuation may take a while; a coordinator that takes longer is as good as gone. */
const ANSWER_MS: Millis = 60 * SECOND_MS;
/** One that hangs, or whose network swallows everything, must not keep the others from being asked. */
const ALIVE_MS: Millis = 3 * SECOND_MS;

const NOT_THE_LEADER = 'mailherd: the coordinator that answers does not lead: what waits, sizes and approvals are not known to it.';

/** No coordinator could be reached, or none leads. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** The API said no. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly view: ErrorView;

  constructor(view: ErrorView) {
    super(view.message);
    this.view = view;
  }
}

/** Talks to the coordinators over HTTP; where one is away or does not lead, the next is asked. */
export class ApiClient {
  readonly #access: Access;

  constructor(access: Access) {
    this.#access = access;
  }

  /** @throws Refused, Unavailable; MailherdError API_FAILED when what answers is not a coordinator. */
  async call<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<T> {
    const response = await this.#send(method, path, body, AbortSignal.timeout(ANSWER_MS));
    return (await readJson(response, path)) as T;
  }

  /** Events from after `since` on, for ever; a broken stream is taken up again where it broke. */
  async *events(since: string | null): AsyncGenerator<{sequence: number; data: string}> {
    let last = since;
    for (;;) {
      const query = last === null ? '' : `?since=${last}`;
      const response = await this.#send('GET', `/v1/events${query}`, undefined, null);
      const lines = new EventLines();
      const decoder = new TextDecoder();
      try {
        for await (const chunk of response.body ?? []) {
          for (const {id, data} of lines.feed(decoder.decode(chunk as Uint8Array, {stream: true}))) {
            last = id;
            yield {sequence: Number(id), data};
          }
        }
      } catch (error) {
        if (last === null) throw new Unavailable('the event stream broke', {cause: error});
      }
      await new Promise(resolve => setTimeout(resolve, SECOND_MS));
    }
  }

  async #send(method: string, path: string, body: object | undefined, signal: AbortSignal | null): Promise<Response> {
    const {api, token} = this.#access;
    if (token === null)
      throw new MailherdError('CONFIG_INVALID', {path: '/token', reason: 'no token: set MAILHERD_TOKEN or token in cli.yaml'});
    const away: string[] = [];
    let other: Response | null = null;
    for (const base of api) {
      let response: Response;
      try {
        if (api.length > 1) await fetch(`${base}/healthz`, {signal: AbortSignal.timeout(ALIVE_MS)});
        response = await fetch(base + path, {
          method,
          signal,
          headers: {authorization: `Bearer ${token}`, ...(body !== undefined && {'content-type': 'application/json'})},
          ...(body !== undefined && {body: JSON.stringify(body)}),
        });
      } catch (error) {
        away.push(`${base} ${reasonOf(error)}`);
        continue;
      }
      if (response.ok && response.headers.get(LEADS_HEADER) !== 'false') return response;
      if (response.ok) {
        // It knows less than the leader does, and more than nobody.
        other ??= response;
        continue;
      }
      const view = await readJson(response, path);
      if (!fits(ErrorView, view)) throw new MailherdError('API_FAILED', {api: base, status: response.status});
      if (view.error.code !== 'NOT_LEADER' && other === null) throw new Refused(view);
      away.push(`${base} does not lead`);
    }
    if (other !== null) {
      process.stderr.write(`${NOT_THE_LEADER}\n`);
      return other;
    }
    throw new Unavailable(away.join('; '));
  }
}

async function readJson(response: Response, path: string): Promise<unknown> {
  try {
    return await response.json();
  } catch (cause) {
    throw new MailherdError('API_FAILED', {path, status: response.status, reason: 'the answer is not JSON'}, {cause});
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause as {code?: string; message?: string} | undefined;
  return cause?.code ?? cause?.message ?? error.message;
}
