import {statSync} from 'node:fs';
import type {Socket} from 'node:net';
import {fromRefusal, MailherdError, toRefusal} from '../../base/errors.ts';
import {MIB} from '../../base/units.ts';
import {type Peer, peerOf} from '../../native/peer.ts';
import {decode, parse} from '../../wire/codec.ts';
import type {Log} from '../../wire/log.ts';
import {type Answered, type Ask, type Asked, Call, type Line, METHODS, type Method, Word} from '../../wire/mover.ts';
import {onLine, sayLine} from './lines.io.ts';

/** Names of 30,000 users with the longest names, of a hundred thousand with usual ones. */
const REQUEST_BYTES_MAX = 8 * MIB;

/** What a method is given beside its request. */
export interface Caller {
  peer: Peer;
  /** The agent has broken it off. */
  signal: AbortSignal;
  /** Has the agent do something. @throws MailherdError what it throws there. */
  ask(what: Ask, value?: unknown): Promise<void>;
}

export type Methods = {[M in Method]: (request: Asked<M>, caller: Caller) => Promise<Answered<M>>};

export interface CallEnds {
  /** The connection is. @param isOfMove it was about somebody's mailbox. */
  closed(isOfMove: boolean): void;
  /** The agent is gone before it was answered: nobody knows any more that it runs. */
  orphaned(method: string): void;
}

interface ServeOptions {
  /** Of the socket: its owner may ask, and root. */
  path: string;
  methods: Methods;
  ends: CallEnds;
  log: Log;
}

/** Serves one connection, which is one call. */
export function serveCall(socket: Socket, options: ServeOptions): void {
  const {path, ends, log} = options;
  socket.on('error', error => log.warn({err: error}, 'connection of an agent'));
  try {
    new Served(socket, admitted(socket, path), options).listen();
  } catch (error) {
    log.warn({refusal: toRefusal(error)}, 'somebody was refused');
    socket.on('close', () => ends.closed(false));
    sayLine(socket, {ok: false, refusal: toRefusal(error)});
    socket.destroySoon();
  }
}

class Served {
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #options: ServeOptions;
  readonly #aborted = new AbortController();
  readonly #asked: {resolve: () => void; reject: (error: Error) => void}[] = [];
  #isCalled = false;
  #running: Method | null = null;
  #isOfMove = false;

  constructor(socket: Socket, peer: Peer, options: ServeOptions) {
    this.#socket = socket;
    this.#peer = peer;
    this.#options = options;
  }

  listen(): void {
    const {ends} = this.#options;
    this.#socket.on('close', () => {
      if (this.#running !== null) ends.orphaned(this.#running);
      ends.closed(this.#isOfMove);
    });
    onLine(this.#socket, REQUEST_BYTES_MAX, text => {
      if (this.#isCalled) return this.#hear(text);
      this.#isCalled = true;
      void this.#run(text);
    });
    sayLine(this.#socket, {ready: true});
  }

  async #run(text: string): Promise<void> {
    const {methods, log} = this.#options;
    let line: Line;
    try {
      const {method, request} = calledFor(text);
      this.#running = method;
      this.#isOfMove = 'user' in request;
      const caller = {peer: this.#peer, signal: this.#aborted.signal, ask: this.#ask.bind(this)};
      line = {ok: true, answer: await methods[method](request as never, caller)};
    } catch (error) {
      const refusal = toRefusal(error);
      log.warn({method: this.#running, refusal, ...(error instanceof MailherdError ? {} : {err: error})}, 'a call failed');
      line = {ok: false, refusal};
    }
    this.#running = null;
    sayLine(this.#socket, line);
    this.#socket.end();
  }

  #ask(what: Ask, value: unknown = null): Promise<void> {
    return new Promise((resolve, reject) => {
      const id = this.#asked.push({resolve, reject}) - 1;
      sayLine(this.#socket, {ask: what, id, value});
    });
  }

  #hear(text: string): void {
    try {
      const word = decode(Word, text, 'word in a call');
      if ('abort' in word) this.#aborted.abort();
      else if (word.refusal === null) this.#asked[word.done]?.resolve();
      else this.#asked[word.done]?.reject(fromRefusal(word.refusal));
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }
}

/** @throws MailherdError COMMAND_UNKNOWN, INPUT_INVALID. */
function calledFor(text: string): {method: Method; request: Asked<Method>} {
  const {method, request} = decode(Call, text, 'call');
  if (!Object.hasOwn(METHODS, method)) throw new MailherdError('COMMAND_UNKNOWN', {method});
  const name = method as Method;
  return {method: name, request: parse(METHODS[name].request, request, `request ${name}`) as Asked<Method>};
}

/** Its mode lets nobody else connect; this holds when somebody has changed that. @throws MailherdError FORBIDDEN, NATIVE_FAILED. */
function admitted(socket: Socket, path: string): Peer {
  // The runtime has no other way to its descriptor.
  const {fd} = (socket as unknown as {_handle: {fd: number}})._handle;
  const peer = peerOf(fd);
  if (peer.uid !== 0 && peer.uid !== statSync(path).uid)
    throw new MailherdError('FORBIDDEN', {...peer, reason: 'root or the owner of the socket'});
  return peer;
}
