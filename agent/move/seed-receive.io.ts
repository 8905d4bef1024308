import {createHash, randomBytes, timingSafeEqual} from 'node:crypto';
import {createServer, type Server, type Socket} from 'node:net';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import {HOUR_MS, MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import {SeedHello} from '../../wire/seed.ts';
import type {DiskSync} from './disk-sync.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import type {SeedOffer, SeedTerms} from './host-ports.ts';
import {SeedLine} from './seed-line.io.ts';
import type {MailPlace} from './seed-place.io.ts';
import {unpackSeed} from './seed-unpack.io.ts';

const HELLO_MS = 10 * SECOND_MS;
/** An offer that nobody takes ends by itself, and so does a seed that takes longer than any copy may. */
const OFFER_MS = 2 * MINUTE_MS;
const SEED_MS = 12 * HOUR_MS;
const CONNECTIONS_MAX = 64;

interface Open {
  secret: Buffer;
  place: MailPlace;
  terms: SeedTerms;
  over: AbortController;
  /** Ends the reading of its texts: what is removed, or written to, need not be read to its end. */
  unread: AbortController;
  /** Called when nothing comes by it any more. */
  told: () => void;
  timer: NodeJS.Timeout;
  /** Set when the one connection has come. */
  work: Promise<void> | null;
  /** Set when all of it is unpacked and found: it goes to disk, and is noted. */
  storing: Promise<void> | null;
  /** And nobody has asked yet. */
  hasJustCome: boolean;
}

/** Reads the texts of a user's mailbox until the signal. Never rejects. */
export type ReaderAhead = (user: string, signal: AbortSignal) => Promise<void>;

interface ReceiverOptions {
  port: number;
  server: DoveadmServer;
  disks: DiskSync;
  readAhead: ReaderAhead;
  log: Log;
}

/**
 * The target's side of seeds. It listens only while an offer is open, on the address other hosts know this one by, and takes one
 * connection an offer, which must show the offer's secret.
 */
export class SeedReceiver {
  readonly #options: ReceiverOptions;
  readonly #open = new Map<string, Open>();
  #server: Server | null = null;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /**
   * @param told called when no seed comes by the offer any more.
   * @throws MailherdError COMMAND_FAILED when the place must not be written to, or the port cannot be had.
   */
  async offer(terms: SeedTerms, place: MailPlace, told: () => void): Promise<SeedOffer> {
    const {user, address} = terms;
    const {home, inbox, owner, format} = place;
    // Of no format: whatever comes is refused as unfit before anything is written.
    if (format !== null && !(inbox.startsWith(`${home}/`) && owner.uid > 0 && owner.gid > 0))
      throw new MailherdError('COMMAND_FAILED', {user, ...place, reason: 'the mailbox lies outside of its home, or nobody owns it'});
    await this.end(user);
    await this.#listen(address);
    const secret = randomBytes(32).toString('hex');
    const [over, unread] = [new AbortController(), new AbortController()];
    const timer = setTimeout(() => this.#expire(user, over), OFFER_MS);
    this.#open.set(user, {secret: digest(secret), place, terms, over, unread, told, timer, work: null, storing: null, hasJustCome: false});
    return {address, port: this.#options.port, secret};
  }

  /** Nothing writes to the user's home any more when this resolves. */
  async end(user: string): Promise<void> {
    const open = this.#open.get(user);
    if (open === undefined) return;
    // What has come is put on disk to the end.
    if (open.storing === null) open.over.abort();
    open.unread.abort();
    await open.work;
    this.#forget(user, open);
  }

  /** Once of a seed that has come and is not stored yet. */
  hasJustCome(user: string): boolean {
    const open = this.#open.get(user);
    if (open === undefined || !open.hasJustCome) return false;
    open.hasJustCome = false;
    return true;
  }

  /** A seed that has come is on disk and noted when this resolves. @throws MailherdError why it is not. */
  async stored(user: string): Promise<void> {
    await this.#open.get(user)?.storing;
  }

  #expire(user: string, over: AbortController): void {
    const open = this.#open.get(user);
    if (open?.over !== over) return;
    this.#options.log.warn({user, isTaken: open.work !== null}, 'the offer for a seed ran out');
    over.abort();
    if (open.work === null) this.#forget(user, open);
  }

  #forget(user: string, open: Open): void {
    clearTimeout(open.timer);
    if (this.#open.get(user) === open) this.#open.delete(user);
    open.told();
    if (this.#open.size > 0) return;
    this.#server?.close();
    this.#server = null;
  }

  async #listen(address: string): Promise<void> {
    if (this.#server !== null) return;
    const {port, log} = this.#options;
    const server = createServer({allowHalfOpen: true, noDelay: true}, socket => this.#take(socket));
    server.maxConnections = CONNECTIONS_MAX;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', cause => {
        this.#server = null;
        reject(new MailherdError('COMMAND_FAILED', {command: 'listen', address, port, reason: cause.message}, {cause}));
      });
      server.listen({host: address, port, exclusive: true}, resolve);
    });
    server.on('error', error => log.error({err: error}, 'listening for seeds'));
  }

  /** A peer without the secret learns nothing and ends nothing. */
  #take(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), HELLO_MS);
    const line = new SeedLine(socket);
    line
      .hear(SeedHello, 'hello')
      .then(hello => {
        const found = [...this.#open].find(([, open]) => open.work === null && timingSafeEqual(open.secret, digest(hello.secret)));
        if (found === undefined) throw new MailherdError('UNAUTHORIZED', {peer: socket.remoteAddress});
        const [user, open] = found;
        clearTimeout(open.timer);
        open.timer = setTimeout(() => this.#expire(user, open.over), SEED_MS);
        open.work = this.#receive(open, socket, line, hello).finally(() => this.#forget(user, open));
      })
      .catch(error => {
        this.#options.log.warn({refusal: toRefusal(error), peer: socket.remoteAddress}, 'a connection for a seed was refused');
        socket.destroy();
      })
      .finally(() => clearTimeout(timer));
  }

  /** Never rejects: what went wrong is told to the peer and the log. */
  async #receive(open: Open, socket: Socket, line: SeedLine, hello: SeedHello): Promise<void> {
    const {place, terms, over} = open;
    const {signal} = over;
    const {log} = this.#options;
    const stop = (): void => {
      socket.destroy();
    };
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      const {syncing, ...unpacked} = await unpackSeed(line, hello, place, terms, this.#options, signal);
      signal.throwIfAborted();
      open.storing = store(syncing, terms, signal);
      open.hasJustCome = true;
      const reading = this.#options.readAhead(terms.user, AbortSignal.any([signal, open.unread.signal]));
      try {
        await Promise.all([open.storing, line.say('{"refusal":null}\n')]);
        log.info({user: terms.user, ...unpacked}, 'a seed has arrived');
      } finally {
        await Promise.allSettled([open.storing, reading]);
      }
    } catch (error) {
      const refusal = toRefusal(error);
      log.warn({user: terms.user, refusal}, 'a seed was not taken');
      if (open.storing === null) await line.say(`${JSON.stringify({refusal})}\n`).catch(stop);
    } finally {
      signal.removeEventListener('abort', stop);
      socket.destroySoon();
    }
  }
}

/** @param signal when it has ended by then, nobody may be told that anything lies here. */
async function store(syncing: Promise<void>, terms: SeedTerms, signal: AbortSignal): Promise<void> {
  await syncing;
  signal.throwIfAborted();
  await terms.arrived();
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
