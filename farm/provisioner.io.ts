import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import Type from 'typebox';
import {CODES, MailherdError, toRefusal} from '../base/errors.ts';
import {decode} from '../wire/codec.ts';
import {HostName} from '../wire/schema.ts';
import {bringUp, type Farm, reinstall} from './farm.io.ts';
import {findHost, type HostSpec, type Layout, releaseOf} from './layout.ts';

const Reinstall = Type.Object({host: HostName, release: Type.String(), token: Type.String({minLength: 1})}, {additionalProperties: false});
const Arrive = Type.Object({host: HostName}, {additionalProperties: false});

const BODY_BYTES_MAX = 10_000;

/**
 * Plays the data centre's provisioning: `POST /reinstall {host, release, token}` throws a host's disks away, installs it with the
 * other release and the software it had, gives it its identity back and answers when its services are up;
 * `POST /arrive {host}` boots a spare. Listens on the farm's own bridge.
 */
export async function runProvisioner(farm: Farm, signal: AbortSignal): Promise<void> {
  const {layout} = farm;
  const busy = new Set<string>();
  const act = async (path: string, body: string): Promise<object> => {
    const {spec, isArrival} = order(layout, path, body);
    if (busy.has(spec.name)) throw new MailherdError('HOST_STATE', {host: spec.name, reason: 'it is being installed already'});
    busy.add(spec.name);
    try {
      if (!isArrival) return {host: spec.name, release: spec.release, tookMs: await reinstall(farm, spec)};
      await bringUp(farm, spec, false);
      return {host: spec.name, release: spec.release};
    } finally {
      busy.delete(spec.name);
    }
  };
  const server = createServer((request, response) => void answer(request, response, act, farm.say));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(layout.provisionerPort, layout.machineAddress, resolve);
  });
  await new Promise<void>(resolve => {
    signal.addEventListener('abort', () => server.close(() => resolve()));
    if (signal.aborted) server.close(() => resolve());
  });
}

/** What is asked for. @throws MailherdError INPUT_INVALID, HOST_UNKNOWN, WIPE_TOKEN. */
function order(layout: Layout, path: string, body: string): {spec: HostSpec; isArrival: boolean} {
  const known = (name: string): HostSpec => {
    const spec = findHost(layout, name);
    if (spec === undefined) throw new MailherdError('HOST_UNKNOWN', {host: name});
    return spec;
  };
  if (path === '/arrive') return {spec: known(decode(Arrive, body, 'order').host), isArrival: true};
  if (path !== '/reinstall') throw new MailherdError('INPUT_INVALID', {what: 'path', path, reason: '/reinstall or /arrive'});
  const {host, release, token} = decode(Reinstall, body, 'order');
  const wanted = releaseOf(release);
  if (wanted === undefined) throw new MailherdError('INPUT_INVALID', {what: 'release', value: release, reason: 'not known here'});
  // The token names its host: an order that was meant for another one is refused here too.
  if (!token.startsWith(`${host}:`)) throw new MailherdError('WIPE_TOKEN', {host});
  return {spec: {...known(host), release: wanted}, isArrival: false};
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  act: (path: string, body: string) => Promise<object>,
  say: (line: string) => void,
): Promise<void> {
  const reply = (status: number, value: object): void => {
    const text = `${JSON.stringify(value)}\n`;
    response.writeHead(status, {'content-type': 'application/json', 'content-length': Buffer.byteLength(text), connection: 'close'});
    response.end(text);
  };
  try {
    if (request.method !== 'POST') throw new MailherdError('INPUT_INVALID', {what: 'method', reason: 'POST only'});
    let body = '';
    for await (const chunk of request) {
      body += chunk;
      if (body.length > BODY_BYTES_MAX) throw new MailherdError('INPUT_INVALID', {what: 'order', reason: 'too long'});
    }
    reply(200, await act(request.url ?? '/', body));
  } catch (error) {
    const refusal = toRefusal(error);
    say(`provisioner: ${error instanceof Error ? error.message : String(error)}`);
    const status = Object.hasOwn(CODES, refusal.code) ? CODES[refusal.code].http : 500;
    reply(status, {error: refusal});
  }
}
