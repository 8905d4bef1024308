import {MailherdError} from '../base/errors.ts';

/** What JetStream writes into the reply subject of each message it delivers. */
export interface Ack {
  /** Place in the stream. */
  sequence: number;
  /** Place in this consumer's deliveries, from 1. */
  order: number;
  /** When the server stored it, milliseconds since 1970, cut (not rounded) as in every other place it is read. */
  storedAtMs: number;
  /** The same to the nanosecond, as text: it does not fit a double. */
  storedAt: string;
  /** Messages that will follow as far as the server knew. */
  pending: number;
}

/**
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<order>.<nanoseconds>.<pending>`, or the form with a domain and an account
 * before the stream and perhaps a random token at the end (nats-architecture-and-design, ADR-15).
 * @throws MailherdError INPUT_INVALID when it is not one.
 */
export function readAck(reply: string): Ack {
  const tokens = reply.split('.');
  const first = tokens.length === 9 ? 4 : 6;
  const [, sequence, order, nanos, pending] = tokens.slice(first, first + 5);
  const isAck = tokens[0] === '$JS' && tokens[1] === 'ACK' && (tokens.length === 9 || tokens.length >= 11);
  if (!isAck || sequence === undefined || order === undefined || nanos === undefined || pending === undefined) {
    throw new MailherdError('INPUT_INVALID', {what: 'reply subject of a message', path: '/', reason: `${reply} is not from JetStream`});
  }
  // As text: nanoseconds do not fit a double, and a flip's deadline must be judged alike by every reader.
  const storedAtMs = Number(nanos.slice(0, -6));
  return {sequence: Number(sequence), order: Number(order), storedAtMs, storedAt: nanos, pending: Number(pending)};
}
