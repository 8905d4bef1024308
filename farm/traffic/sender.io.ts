import {createTransport} from 'nodemailer';
import type {Rng} from '../../base/random.ts';
import type {Layout, UserSpec} from '../layout.ts';
import type {CorpusMessage} from '../mail/corpus.io.ts';
import type {Ledger} from '../mail/ledger.io.ts';
import {composeMail, gapMs, isFiledNext} from '../mail/message.ts';

export interface SenderOptions {
  layout: Layout;
  users: readonly UserSpec[];
  corpus: readonly CorpusMessage[];
  ledger: Ledger;
  rng: Rng;
  /** Unique for the run; part of every Message-ID. */
  run: string;
  perSecond: () => number;
  signal: AbortSignal;
}

/** A failure of nodemailer: with a response code the server has refused, without one nobody knows. */
interface SendFailure extends Error {
  responseCode?: number;
  code?: string;
  command?: string;
}

const CONNECTIONS = 8;
const IN_FLIGHT_MAX = 64;

/** Sends mail from the outside through the edge until the signal; resolves when the last answer is in. */
export async function runSender(options: SenderOptions): Promise<void> {
  const {layout, rng, signal} = options;
  const edge = layout.hosts.find(spec => spec.role === 'edge');
  const transport = createTransport({
    host: edge?.address ?? '127.0.0.1',
    port: 25,
    secure: false,
    ignoreTLS: true,
    name: layout.outsideDomain,
    pool: true,
    maxConnections: CONNECTIONS,
    maxMessages: 100,
    // A mail whose fate is unknown must never be sent again by the library: it would be a duplicate of our making.
    ...({maxRequeues: 0} as object),
    connectionTimeout: 10_000,
    socketTimeout: 60_000,
  });
  const inFlight = new Set<Promise<void>>();
  let count = 0;
  while (!signal.aborted) {
    const perSecond = options.perSecond();
    await pause(perSecond > 0 ? Math.min(gapMs(rng, perSecond), 2_000) : 200, signal);
    if (signal.aborted || perSecond <= 0 || inFlight.size >= IN_FLIGHT_MAX) continue;
    const sending = send(transport, options, ++count).finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  }
  await Promise.all(inFlight);
  transport.close();
}

async function send(transport: ReturnType<typeof createTransport>, options: SenderOptions, count: number): Promise<void> {
  const {layout, rng, ledger} = options;
  const {user} = rng.pick(options.users);
  const from = `sender${count % 97}@${layout.outsideDomain}`;
  const messageId = `<${options.run}.${count}@${layout.outsideDomain}>`;
  const raw = composeMail(rng.pick(options.corpus).text, {from, to: user, messageId, date: new Date(), isFiled: isFiledNext(rng)});
  try {
    await transport.sendMail({envelope: {from, to: [user]}, raw});
    ledger.note({kind: 'accepted', user, messageId});
  } catch (error) {
    const failure = error as SendFailure;
    if (failure.responseCode !== undefined) ledger.note({kind: 'refused', user, code: failure.responseCode, reason: failure.message});
    else if (failure.command === 'CONN') ledger.note({kind: 'refused', user, code: 0, reason: failure.message});
    else ledger.note({kind: 'unsureMail', user, messageId, reason: failure.message});
  }
}

/** Waits, or less when the signal comes. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
