import type {Millis} from '../../base/units.ts';
import {parseDovecotLine} from './maillog-dovecot.ts';
import {parsePostfixLine} from './maillog-postfix.ts';

/** How an IMAP session or a login ended. */
export type EndKind =
  | 'logout'
  | 'closed'
  | 'closedInCommand'
  | 'reset'
  | 'timedOut'
  | 'inactive'
  | 'shutdown'
  | 'kicked'
  | 'killed'
  | 'refused'
  | 'authFailed'
  | 'other';

/** A bound that the mail system ran into and complained of. */
export const LIMIT_KINDS = ['postfixProcesses', 'dovecotProcesses', 'dovecotClients', 'inotifyInstances', 'inotifyWatches'] as const;
export type LimitKind = (typeof LIMIT_KINDS)[number];

/** Before the queue manager, in it, connecting, transmitting. */
export type Delays = [before: Millis, queued: Millis, connecting: Millis, sending: Millis];

/** What a line of the mail log means to us; lines without meaning are null. */
export type MailEvent =
  /** One try to deliver to one recipient. `program` is Postfix's, `transport` the entry in master.cf that ran it. */
  | {
      kind: 'attempt';
      program: string;
      transport: string;
      user: string;
      relay: string | null;
      status: string;
      dsn: string;
      delayMs: Millis;
      delaysMs: Delays | null;
    }
  | {kind: 'login'; user: string; session: string}
  /** An IMAP session ended; `session` is null where the version does not log it. */
  | {kind: 'ended'; user: string; session: string | null; how: EndKind; orderly: boolean; reason: string}
  /** The password was right, and yet the user got no session. */
  | {kind: 'refused'; user: string; reason: string}
  | {kind: 'rejected'; user: string}
  /** Dovecot has written a message into a mailbox; one for each copy. */
  | {kind: 'stored'; user: string}
  | {kind: 'limit'; limit: LimitKind; service: string; max: number | null}
  | {kind: 'screened'; outcome: string};

/**
 * @param identifier of syslog: `postfix/lmtp`, `postfix-in/lmtp`, `dovecot`.
 * @param message the line after it, without time and host.
 */
export function parseMailLine(identifier: string, message: string): MailEvent | null {
  if (identifier === 'dovecot') return parseDovecotLine(message);
  const [, transport, program] = /^postfix[^/]*\/(?:(\S+)\/)?([a-z]+)$/.exec(identifier) ?? [];
  return program === undefined ? null : parsePostfixLine(transport ?? program, program, message);
}

const TIME = String.raw`(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)`;
const SYSLOG = new RegExp(String.raw`^${TIME} \S+ ([\w/.-]+)(?:\[\d+\])?: (.*)$`);
const DOVECOT_OWN = new RegExp(String.raw`^${TIME} ([\w-]+(?:\([^)]*\))?(?:<[^>]*>)*: (?:Info|Warning|Error|Fatal|Panic): .*)$`);

/**
 * A line of a log file: as syslog daemons and postlogd(8) write it, with either form of the time, or as Dovecot writes into a file of its
 * own (log_path). null for anything else.
 */
export function parseFileLine(line: string): {identifier: string; message: string} | null {
  const own = DOVECOT_OWN.exec(line);
  if (own !== null) return {identifier: 'dovecot', message: own[1] ?? ''};
  const [, identifier, message] = SYSLOG.exec(line) ?? [];
  return identifier === undefined || message === undefined ? null : {identifier, message};
}
