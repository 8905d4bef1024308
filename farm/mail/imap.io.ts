import {type FetchMessageObject, ImapFlow} from 'imapflow';
import type {Layout, UserSpec} from '../layout.ts';

/** A mail program's connection to the farm, through an edge. Whoever opens it closes it. */
export function imapClient(layout: Layout, {user, password}: Pick<UserSpec, 'user' | 'password'>, isIdle: boolean): ImapFlow {
  const edge = layout.hosts.find(spec => spec.role === 'edge');
  const client = new ImapFlow({
    host: edge?.address ?? '127.0.0.1',
    port: 143,
    secure: false,
    doSTARTTLS: false,
    auth: {user, pass: password},
    logger: false,
    disableCompression: true,
    disableAutoIdle: !isIdle,
    autoIdleDelay: 200,
    connectionTimeout: 10_000,
    // Logins wait while a mailbox changes hosts: the edge tries for 30 s
    greetingTimeout: 40_000,
    socketTimeout: 60_000,
  });
  // Every failure also rejects the call it hit or shows as 'close'; without a listener it would end the process.
  client.on('error', () => undefined);
  return client;
}

/** The id of a message from its raw header, or a stand-in that is never equal to a real one. */
export function messageIdOf(headers: Buffer | undefined, uid: number): string {
  return /^message-id:\s*(<[^<>\s]+>)/im.exec(headers?.toString('latin1') ?? '')?.[1] ?? `(none, uid ${uid})`;
}

/**
 * Only the answers to our own FETCH: a server may at any time tell what other programs changed (RFC 3501 section 7), and the
 * library hands that on as one more message, without UID and header.
 */
export function answersOf(fetched: readonly FetchMessageObject[]): FetchMessageObject[] {
  return fetched.filter(each => (each.uid as number | undefined) !== undefined && each.headers !== undefined);
}
