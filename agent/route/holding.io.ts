import {once} from 'node:events';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {systemClock} from '../../base/clock.io.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';

interface HoldingOptions {
  /** How many users can be held at once; a further one's logins are refused for the moment and tried again by the proxy. */
  ports: number;
  /** Sessions that began in holds, at once. */
  sessionsMax?: number;
  /** Where the backends' Dovecot answers. */
  imapPort: number;
  log: Log;
  signal: AbortSignal;
}

/** A login looked up during a hold may reach the port a little after its end. */
const LINGER_MS: Millis = 5 * SECOND_MS;
/** A backend that dies while a login is under way says nothing: it is dialled again. */
const GREETING_MS: Millis = 3 * SECOND_MS;
const DIALS_MAX = 3;
const REDIAL_MS: Millis = SECOND_MS / 2;
/** Sessions that began in holds, at once: so many are cut at most when the agent stops. */
const SESSIONS_MAX = 512;

interface Place {
  server: Server;
  port: number;
  user: string | null;
  /** Where the logins of `user` may go; null while they wait. */
  address: string | null;
  waiting: Set<Socket>;
  freed: NodeJS.Timeout | null;
}

/**
 * Ports on an edge's loopback where the logins of held users wait: the proxy of Dovecot connects and gets no greeting until the
 * move is over; then the connection is joined with one to the backend. To the user that is a slow login, never a refused one.
 * Such a session passes through this process until it ends: it is cut, and its mail program connects again, when the agent stops. Where
 * there are too many, a new one ends the oldest, which then goes straight to its backend.
 */
export class HoldingPorts {
  readonly #places: Place[] = [];
  readonly #joined = new Set<Socket>();
  /** Of sessions, the oldest first. */
  readonly #sessions = new Set<Socket>();
  readonly #options: HoldingOptions;

  private constructor(options: HoldingOptions) {
    this.#options = options;
  }

  /** @throws the system's error when not even loopback ports can be had. */
  static async open(options: HoldingOptions): Promise<HoldingPorts> {
    const holding = new HoldingPorts(options);
    for (let count = 0; count < options.ports; count++) holding.#places.push(await holding.#openPlace());
    options.signal.addEventListener('abort', () => holding.#close());
    return holding;
  }

  async #openPlace(): Promise<Place> {
    const server = createServer({allowHalfOpen: true, pauseOnConnect: true});
    server.listen(0, '127.0.0.1').unref();
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const place: Place = {server, port, user: null, address: null, waiting: new Set(), freed: null};
    server.on('connection', socket => this.#arrived(place, socket));
    return place;
  }

  /** A port where logins of `user` wait from now on, the same as before when one is taken; null when all are. */
  take(user: string): number | null {
    const place = this.#places.find(one => one.user === user) ?? this.#places.find(one => one.user === null);
    if (place === undefined) return null;
    this.#give(place, user);
    return place.port;
  }

  /** Lets the logins that wait for `user` go on to the backend at `address`, and those that still come. */
  release(user: string, address: string): void {
    const place = this.#places.find(one => one.user === user && one.address === null);
    if (place === undefined) return;
    place.address = address;
    for (const socket of place.waiting) void this.#join(socket, address);
    place.waiting.clear();
    place.freed = setTimeout(() => this.#give(place, null), LINGER_MS);
    place.freed.unref();
  }

  /** There is no such user any more: whoever waits for him is sent away, and the port is free. */
  drop(user: string): void {
    const place = this.#places.find(one => one.user === user && one.address === null);
    if (place === undefined) return;
    this.#give(place, null);
    for (const socket of place.waiting) socket.destroy();
  }

  #give(place: Place, user: string | null): void {
    if (place.freed !== null) clearTimeout(place.freed);
    place.freed = null;
    place.user = user;
    place.address = null;
  }

  #arrived(place: Place, socket: Socket): void {
    // A login that gives up: nothing to do but forget it.
    socket.on('error', error => this.#options.log.debug({err: error}, 'a held login ended'));
    if (place.user === null) socket.destroy();
    else if (place.address !== null) void this.#join(socket, place.address);
    else {
      place.waiting.add(socket);
      socket.once('close', () => place.waiting.delete(socket));
    }
  }

  /** Never rejects. */
  async #join(socket: Socket, address: string): Promise<void> {
    const {imapPort, log, signal} = this.#options;
    this.#track(socket);
    for (let dials = 1; dials <= DIALS_MAX && !socket.destroyed; dials++) {
      const backend = connect({host: address, port: imapPort, allowHalfOpen: true, noDelay: true, keepAlive: true});
      this.#track(backend);
      try {
        // Readable at its end too; an IMAP server speaks first (RFC 3501 7.1.1), so nothing of the client's is lost by another try.
        await once(backend, 'readable', {signal: AbortSignal.any([signal, AbortSignal.timeout(GREETING_MS)])});
        if (backend.readableLength === 0) throw new Error('it ended without a greeting');
        return this.#pipe(socket, backend);
      } catch (error) {
        backend.destroy();
        log.debug({err: error, address, dials}, 'a backend does not greet a login that was held');
      }
      await systemClock.sleep(REDIAL_MS, signal);
    }
    socket.destroy();
  }

  #pipe(socket: Socket, backend: Socket): void {
    const {log} = this.#options;
    for (const [end, other] of [
      [socket, backend],
      [backend, socket],
    ] as const) {
      if (end.destroyed) other.destroy();
      else end.once('close', () => other.destroy());
    }
    backend.on('error', error => log.debug({err: error}, 'a session that began in a hold is over'));
    socket.setNoDelay(true).setKeepAlive(true);
    socket.pipe(backend).pipe(socket);
    if (socket.destroyed) return;
    this.#sessions.add(socket);
    socket.once('close', () => this.#sessions.delete(socket));
    const [oldest] = this.#sessions;
    if (this.#sessions.size > (this.#options.sessionsMax ?? SESSIONS_MAX)) oldest?.destroy();
  }

  #track(socket: Socket): void {
    this.#joined.add(socket);
    socket.once('close', () => this.#joined.delete(socket));
  }

  #close(): void {
    for (const {server, waiting, freed} of this.#places) {
      if (freed !== null) clearTimeout(freed);
      for (const socket of waiting) socket.destroy();
      server.close();
    }
    for (const end of this.#joined) end.destroy();
  }
}
