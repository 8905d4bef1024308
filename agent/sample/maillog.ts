import type {Millis} from '../../base/units.ts';

/** What a line of the mail log means to us; lines without meaning are null. */
export type MailEvent =
  /** A recipient's copy was stored by LMTP. `delaysMs`: before the queue manager, in it, connecting, transmitting. */
  | {kind: 'delivered'; user: string; delayMs: Millis; delaysMs: [Millis, Millis, Millis, Millis] | null; relay: string}
  | {kind: 'login'; user: string; session: string}
  /** An IMAP session ended; `session` is null where the version does not log it. */
  | {kind: 'ended'; user: string; session: string | null; orderly: boolean; reason: string}
  /** The password was right, and yet the user got no session. */
  | {kind: 'refused'; user: string; reason: string};

/**
 * @param identifier of syslog: `postfix/lmtp`, `postfix-in/lmtp`, `dovecot`.
 * @param message the line after it, without time and host.
 */
export function parseMailLine(identifier: string, message: string): MailEvent | null {
  if (identifier === 'dovecot') return parseDovecot(message);
  if (/^postfix[^/]*\/(?:\S+\/)?lmtp$/.test(identifier)) return parseDelivery(message);
  return null;
}

/** Source: postfix lmtp(8) logging, postconf(5) delay_logging_resolution_limit. */
const DELIVERY =
  /^[0-9A-Za-z]+: to=<([^>]*)>,(?: orig_to=<[^>]*>,)? relay=([^,]+),(?: conn_use=\d+,)? delay=([\d.]+),(?: delays=([\d.]+)\/([\d.]+)\/([\d.]+)\/([\d.]+),)? dsn=[\d.]+, status=sent\b/;

function parseDelivery(message: string): MailEvent | null {
  const match = DELIVERY.exec(message);
  if (match === null) return null;
  const [, user = '', relay = '', delay = '', a, b, c, d] = match;
  const stages = [a, b, c, d].map(milliseconds);
  const [early, queued, connecting, sending] = stages;
  const whole = early !== undefined && queued !== undefined && connecting !== undefined && sending !== undefined;
  const delayMs = milliseconds(delay);
  if (delayMs === undefined) return null;
  return {kind: 'delivered', user: user.toLowerCase(), delayMs, delaysMs: whole ? [early, queued, connecting, sending] : null, relay};
}

function milliseconds(seconds: string | undefined): Millis | undefined {
  if (seconds === undefined) return undefined;
  const value = Number(seconds);
  return Number.isFinite(value) ? Math.round(value * 1000) : undefined;
}

/** 2.3 writes "Login:", 2.4 "Logged in:". */
const LOGIN = /^imap-login: (?:Login|Logged in): user=<([^>]*)>.*?\bsession=<([^>]+)>/;
/** On a proxy a session begins and ends with these; who closed it first is all that it knows. */
const PROXIED =
  /^imap-login: proxy\([^)]*\): (Started proxying|Disconnected by .*?)(?: to .*?)?(?: \(\d+s idle.*?\)|\([\d.]+ secs.*?\))?: user=<([^>]*)>.*?\bsession=<([^>]+)>/;
const ENDED = /^imap\(([^)]*)\)<\d+>(?:<([^>]*)>)?: (.*)$/;
const REFUSED = /^imap-login: (?:Disconnected|Login aborted): .*?(internal (?:login )?failure)[^:]*: user=<([^>]*)>/i;
/** Counters that follow the reason. */
const STATISTICS = / in=\d+ out=\d+.*$/;

function parseDovecot(message: string): MailEvent | null {
  const text = message.replace(/^([^:]*: )Info: /, '$1');
  const login = LOGIN.exec(text);
  if (login !== null) return {kind: 'login', user: (login[1] ?? '').toLowerCase(), session: login[2] ?? ''};
  const ended = ENDED.exec(text);
  if (ended !== null) return parseEnd(ended[1] ?? '', ended[2], ended[3] ?? '');
  const proxied = PROXIED.exec(text);
  if (proxied !== null) return parseProxied(proxied[1] ?? '', (proxied[2] ?? '').toLowerCase(), proxied[3] ?? '');
  const refused = REFUSED.exec(text);
  if (refused !== null) return {kind: 'refused', user: (refused[2] ?? '').toLowerCase(), reason: refused[1] ?? ''};
  return null;
}

function parseProxied(reason: string, user: string, session: string): MailEvent | null {
  if (reason === 'Started proxying') return {kind: 'login', user, session};
  return {kind: 'ended', user, session, orderly: !LOST.test(reason), reason};
}

function parseEnd(user: string, session: string | undefined, text: string): MailEvent | null {
  const died = /^Fatal: master: service\(imap\): child \d+ (.*)$/.exec(text)?.[1];
  const left =
    /^(?:Disconnected: )?((?:Logged out|Connection closed|Server shutting down|User kicked|Kicked by admin|Inactivity|Disconnected|Too many).*)$/.exec(
      text,
    )?.[1];
  const reason = died ?? left?.replace(STATISTICS, '');
  if (reason === undefined) return null;
  return {kind: 'ended', user: user.toLowerCase(), session: session ?? null, orderly: died === undefined && isOrderly(reason), reason};
}

/** What the network did, not the user. */
const LOST = /timed out|reset by peer|Broken pipe|No route to host/i;
/** What was under way when the connection closed: "(UID FETCH running for", "(While APPENDing:", "(While running APPEND command:". */
const IN_COMMAND = /\((?!IDLE )[A-Z][A-Z ]* running for|\(While /;

/**
 * Did the session end as a user or an administrator wanted it to? A client that just closes is orderly (most do), in IDLE
 * too; one that loses the connection while a command runs is not. Ended by the server: only what we or an administrator
 * ask for is orderly, and a client that was silent for half an hour (RFC 9051, 5.4).
 */
function isOrderly(reason: string): boolean {
  if (/^(?:Logged out|Server shutting down|User kicked|Kicked by admin)/.test(reason)) return true;
  if (LOST.test(reason)) return false;
  if (/^Connection closed/.test(reason)) return !IN_COMMAND.test(reason);
  if (/^(?:Disconnected for inactivity|Inactivity)/.test(reason)) return !/reading our output/.test(reason);
  return false;
}
