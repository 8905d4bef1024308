import {connect, type Socket} from 'node:net';
import {fromRefusal, MailherdError, toRefusal} from '../../base/errors.ts';
import {MIB, type Millis, SECOND_MS} from '../../base/units.ts';
import {decode, parse} from '../../wire/codec.ts';
import {SeedOffer} from '../../wire/command.ts';
import {type Answered, type Ask, type Asked, Line, METHODS, type Method} from '../../wire/mover.ts';
import type {HostPorts, MailQueue} from '../move/host-ports.ts';
import type {PlainStore} from '../move/measured.ts';
import {onLine, sayLine} from './lines.io.ts';

/** Where systemd listens for the mover, and starts it. */
export const MOVER_SOCKET = '/run/mailherd-mover.sock';
/** The start of a runtime, on a host whose disk is slow. */
const GREETING_MS: Millis = 30 * SECOND_MS;
/** A manifest with a line for each message. */
const ANSWER_BYTES_MAX = 1024 * MIB;

/** What the agent has done by the mover, which alone may. */
export interface Mover {
  store: PlainStore;
  files: HostPorts['files'];
  queue: MailQueue;
  /** Dovecot's status sockets let this agent in. */
  admit(): Promise<void>;
}

interface CallOptions {
  /** What the mover may ask for meanwhile. */
  asks?: Partial<Record<Ask, (value: unknown) => unknown>>;
  signal?: AbortSignal;
}

/**
 * The mover behind a unix socket; each call is a connection of its own, and a mover whose agent is gone ends its work by that. All throw MailherdError:
 * what the mover throws, and COMMAND_FAILED when it does not come up, or ended before it answered.
 */
export function socketMover(path: string = MOVER_SOCKET): Mover {
  const call = <M extends Method>(method: M, request: Asked<M>, options: CallOptions = {}): Promise<Answered<M>> =>
    ask(path, method, request, options);
  const ofUser = <M extends Method>(method: M & (Asked<M> extends {user: string} ? M : never)) => {
    return (user: string): Promise<Answered<M>> => call(method, {user} as unknown as Asked<M>);
  };
  const none = async (work: Promise<null>): Promise<void> => void (await work);
  return {
    store: {
      exists: ofUser('exists'),
      outside: ofUser('outside'),
      freeBytes: () => call('freeBytes', {}),
      needs: ofUser('needs'),
      offers: () => call('offers', {}),
      backup: (user, address, full, signal) => call('backup', {user, address, full}, {signal}),
      carry: (user, address, folders) => none(call('carry', {user, address, folders: folders === null ? null : [...folders]})),
      endCopies: user => none(call('endCopies', {user})),
      deliveriesOver: (user, timeoutMs) => call('deliveriesOver', {user, timeoutMs}),
      endSessions: (user, timeoutMs) => call('endSessions', {user, timeoutMs}),
      folders: ofUser('folders'),
      manifest: (user, {folder, texts}) => call('manifest', {user, folder, texts}),
      readTexts: (user, signal) => call('readTexts', {user}, {signal}),
      // Whoever reads next is told.
      readAhead: user => call('readAhead', {user}).then(ignore, ignore),
      // A mover that does not answer knows nothing either.
      forgetTexts: user => void call('forgetTexts', {user}).catch(ignore),
      remove: ofUser('remove'),
      sizes: users => call('sizes', {users: [...users]}),
    },
    files: {
      offer: ({user, address, bytesMax, arrived}) =>
        new Promise((resolve, reject) => {
          const offered = (value: unknown): void => resolve(parse(SeedOffer, value, 'offer'));
          call('offer', {user, address, bytesMax}, {asks: {offered, arrived}}).catch(reject);
        }),
      end: user => none(call('end', {user})),
      hasJustCome: ofUser('hasJustCome'),
      send: (user, offer, bytesPerSecond, gone, signal) => call('send', {user, offer, bytesPerSecond}, {signal, asks: {gone}}),
      persist: users => none(call('persist', {users: [...users]})),
    },
    queue: {
      count: () => call('count', {}),
      retry: users => call('retry', {users: [...users]}),
      queued: () => call('queued', {}),
      flush: () => none(call('flush', {})),
    },
    admit: () => none(call('admit', {})),
  };
}

const ignore = (): void => undefined;

function ask<M extends Method>(path: string, method: M, request: Asked<M>, {asks = {}, signal}: CallOptions): Promise<Answered<M>> {
  const failed = (reason: string): MailherdError => new MailherdError('COMMAND_FAILED', {command: `mover ${method}`, reason});
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const abort = (): void => sayLine(socket, {abort: true});
    socket.setTimeout(GREETING_MS, () => socket.destroy(failed('it does not come up: journalctl -u mailherd-mover')));
    socket.on('error', error => reject(error instanceof MailherdError ? error : failed(error.message)));
    socket.on('close', () => {
      signal?.removeEventListener('abort', abort);
      reject(failed('it ended before it answered'));
    });
    const take = (line: Line): void => {
      if ('ready' in line) {
        socket.setTimeout(0);
        sayLine(socket, {method, request});
        if (signal?.aborted) abort();
        else signal?.addEventListener('abort', abort);
      } else if ('ask' in line) void does(socket, line.id, () => asks[line.ask]?.(line.value));
      else {
        if (line.ok) resolve(parse(METHODS[method].answer, line.answer, `answer of the mover to ${method}`) as Answered<M>);
        else reject(fromRefusal(line.refusal));
        socket.end();
      }
    };
    onLine(socket, ANSWER_BYTES_MAX, text => {
      try {
        take(decode(Line, text, `line of the mover in ${method}`));
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
  });
}

/** What the mover asks in the midst of a call, and that it is done. */
async function does(socket: Socket, id: number, work: () => unknown): Promise<void> {
  try {
    await work();
    sayLine(socket, {done: id, refusal: null});
  } catch (error) {
    sayLine(socket, {done: id, refusal: toRefusal(error)});
  }
}
