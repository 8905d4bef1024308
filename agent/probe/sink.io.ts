import {randomUUID} from 'node:crypto';
import type {Socket} from 'node:net';
import type {SMTPServer as Server, SMTPServerDataStream, SMTPServerSession} from 'smtp-server';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import {SMTPServer} from './libraries.io.ts';

/** Header by which a probe message is known again. */
export const PROBE_HEADER = 'X-Mailherd-Probe';
const MESSAGE_BYTES_MAX = 65_536;
const HEADER = new RegExp(`^${PROBE_HEADER}: ([0-9a-f-]{36})\\r?$`, 'im');

/** The agent's own mailbox: an SMTP server on the loopback that keeps nothing and tells when a probe message has come. */
export class Sink {
  readonly #server: Server;
  readonly #waiting = new Map<string, (keptMs: Millis) => void>();
  readonly #acceptedAtMs = new Map<number, Millis>();
  readonly #keptMs = new Map<string, Millis>();

  private constructor(log: Log) {
    this.#server = new SMTPServer({
      name: 'sink.mailherd.invalid',
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      size: MESSAGE_BYTES_MAX,
      maxClients: 20,
      closeTimeout: 1_000,
      logger: false,
      onConnect: (session, done) => {
        this.#greet(session);
        done();
      },
      onClose: session => void this.#keptMs.delete(session.id),
      onData: (stream, session, done) => void this.#take(stream, session).then(() => done(), done),
    });
    this.#server.server.on('connection', (socket: Socket) => {
      const {remotePort} = socket;
      if (remotePort === undefined) return;
      this.#acceptedAtMs.set(remotePort, systemClock.monotonic());
      socket.once('close', () => this.#acceptedAtMs.delete(remotePort));
    });
    this.#server.on('error', error => log.debug({error: String(error)}, 'a connection to the sink failed'));
  }

  /** @throws MailherdError PROBE_FAILED when the address is taken or not ours. */
  static async listen(address: string, port: number, log: Log): Promise<Sink> {
    const sink = new Sink(log);
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void =>
        reject(new MailherdError('PROBE_FAILED', {probe: 'sink', address, port, reason: error.message}, {cause: error}));
      sink.#server.server.once('error', failed);
      sink.#server.listen(port, address, () => {
        sink.#server.server.off('error', failed);
        resolve();
      });
    });
    return sink;
  }

  get port(): number {
    const address = this.#server.server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  /**
   * A name for one message, and what resolves when it stands here: with the time for which the sink itself kept the sender
   * waiting (the library greets late on purpose), or with null after `timeoutMs`.
   */
  expect(timeoutMs: Millis): {id: string; arrived: Promise<Millis | null>} {
    const id = randomUUID();
    const stop = new AbortController();
    const arrival = new Promise<Millis>(resolve => this.#waiting.set(id, resolve));
    const late = systemClock.sleep(timeoutMs, stop.signal).then(() => null);
    const arrived = Promise.race([arrival, late]).finally(() => {
      stop.abort();
      this.#waiting.delete(id);
    });
    return {id, arrived};
  }

  close(): Promise<void> {
    return new Promise(resolve => this.#server.close(() => resolve()));
  }

  #greet({id, remotePort}: SMTPServerSession): void {
    const acceptedAtMs = this.#acceptedAtMs.get(remotePort);
    if (acceptedAtMs !== undefined) this.#keptMs.set(id, systemClock.monotonic() - acceptedAtMs);
  }

  async #take(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<void> {
    // Only the first message of a connection waited for the greeting.
    const keptMs = this.#keptMs.get(session.id) ?? 0;
    this.#keptMs.delete(session.id);
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of stream) {
      bytes += (part as Buffer).length;
      if (bytes <= MESSAGE_BYTES_MAX) parts.push(part as Buffer);
    }
    const text = Buffer.concat(parts).toString('latin1');
    const header = text.slice(0, text.search(/\r?\n\r?\n/));
    const id = HEADER.exec(header)?.[1];
    // Late ones, of a probe that was given up, are swallowed too.
    if (id !== undefined) this.#waiting.get(id)?.(keptMs);
  }
}
