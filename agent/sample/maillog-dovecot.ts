import type {EndKind, MailEvent} from './maillog.ts';

/** 2.3 writes "Login:", 2.4 "Logged in:". */
const LOGIN = /^imap-login: (?:Login|Logged in): user=<([^>]*)>.*?\bsession=<([^>]+)>/;
/** On a proxy a session begins and ends with these; who closed it first is all that it knows. */
const PROXIED =
  /^imap-login: proxy\([^)]*\): (Started proxying|Disconnected by .*?)(?: to .*?)?(?: \(\d+s idle.*?\)|\([\d.]+ secs.*?\))?: user=<([^>]*)>.*?\bsession=<([^>]+)>/;
const ENDED = /^imap\(([^)]*)\)<\d+>(?:<([^>]*)>)?: (.*)$/;
const REFUSED = /^imap-login: (?:Disconnected|Login aborted): .*?(internal (?:login )?failure)[^:]*: user=<([^>]*)>/i;
const REJECTED = /^imap-login: (?:Disconnected|Login aborted): .*?auth failed[^:]*: user=<([^>]*)>/;
/** By LMTP or dovecot-lda, filed by Sieve or not. */
const STORED = /^(?:lmtp|lda)\(([^)]+)\)<\d+>(?:<[^>]*>)?: .*?(?:[Ss]tored mail into mailbox|saved mail to) /;
/** Counters that follow the reason. */
const STATISTICS = / in=\d+ out=\d+.*$/;

/** Source: service-monitor.c of Dovecot. Versions before 2.3 do not tell the limit. */
const SERVICE_LIMIT =
  /^(?:master: )?Warning: service\(([^)]+)\): (process_limit|client_limit(?:\/service_count)?)(?: \((\d{1,9})\))? reached/;
/** Source: ioloop-notify-inotify.c of Dovecot. */
const INOTIFY = /^([\w-]+)\b.*?: Warning: Inotify (instance|watch) limit for user\b.*? exceeded/;

/** @param message of a Dovecot process: into syslog, or with the level (`Info:`) into a file. */
export function parseDovecotLine(message: string): MailEvent | null {
  const text = message.replace(/^([^:]*: )Info: /, '$1');
  const login = LOGIN.exec(text);
  if (login !== null) return {kind: 'login', user: (login[1] ?? '').toLowerCase(), session: login[2] ?? ''};
  const ended = ENDED.exec(text);
  const end = ended === null ? null : parseEnd(ended[1] ?? '', ended[2], ended[3] ?? '');
  if (end !== null) return end;
  const proxied = PROXIED.exec(text);
  if (proxied !== null) return parseProxied(proxied[1] ?? '', (proxied[2] ?? '').toLowerCase(), proxied[3] ?? '');
  const refused = REFUSED.exec(text);
  if (refused !== null) return {kind: 'refused', user: (refused[2] ?? '').toLowerCase(), reason: refused[1] ?? ''};
  const stored = STORED.exec(text);
  if (stored !== null) return {kind: 'stored', user: (stored[1] ?? '').toLowerCase()};
  const rejected = REJECTED.exec(text);
  if (rejected !== null) return {kind: 'rejected', user: (rejected[1] ?? '').toLowerCase()};
  return parseLimit(text);
}

function parseLimit(text: string): MailEvent | null {
  const [, service, which, max] = SERVICE_LIMIT.exec(text) ?? [];
  if (service !== undefined) {
    const limit = which === 'process_limit' ? 'dovecotProcesses' : 'dovecotClients';
    return {kind: 'limit', limit, service, max: max === undefined ? null : Number(max)};
  }
  const [, process, what] = INOTIFY.exec(text) ?? [];
  if (process === undefined) return null;
  return {kind: 'limit', limit: what === 'instance' ? 'inotifyInstances' : 'inotifyWatches', service: process, max: null};
}

function parseProxied(reason: string, user: string, session: string): MailEvent | null {
  if (reason === 'Started proxying') return {kind: 'login', user, session};
  return {kind: 'ended', user, session, how: endKind(reason), orderly: !LOST.test(reason), reason};
}

function parseEnd(user: string, session: string | undefined, text: string): MailEvent | null {
  const died = /^Fatal: master: service\(imap\): child \d+ (.*)$/.exec(text)?.[1];
  const left =
    /^(?:Disconnected: )?((?:Logged out|Connection closed|Server shutting down|User kicked|Kicked by admin|Inactivity|Disconnected|Too many).*)$/.exec(
      text,
    )?.[1];
  const reason = died ?? left?.replace(STATISTICS, '');
  if (reason === undefined) return null;
  const how = died === undefined ? endKind(reason) : 'killed';
  return {kind: 'ended', user: user.toLowerCase(), session: session ?? null, how, orderly: isOrderly(how, reason), reason};
}

/** What the network did, not the user. */
const LOST = /timed out|reset by peer|Broken pipe|No route to host/i;
/** What was under way when the connection closed: "(UID FETCH running for", "(While APPENDing:", "(While running APPEND command:". */
const IN_COMMAND = /\((?!IDLE )[A-Z][A-Z ]* running for|\(While /;

function endKind(reason: string): EndKind {
  if (/timed out|No route to host/i.test(reason)) return 'timedOut';
  if (LOST.test(reason)) return 'reset';
  if (reason.startsWith('Logged out')) return 'logout';
  if (reason.startsWith('Server shutting down')) return 'shutdown';
  if (/Kicked by admin|User kicked/.test(reason)) return 'kicked';
  if (/^(?:Disconnected for inactivity|Inactivity)/.test(reason)) return 'inactive';
  if (/^(?:Connection closed|Disconnected by (?:client|server))/.test(reason))
    return IN_COMMAND.test(reason) ? 'closedInCommand' : 'closed';
  return 'other';
}

/**
 * Did the session end as a user or an administrator wanted it to? A client that just closes is orderly (most do), in IDLE
 * too; one that loses the connection while a command runs is not. Ended by the server: only what we or an administrator
 * ask for is orderly, and a client that was silent for half an hour (RFC 9051, 5.4).
 */
function isOrderly(how: EndKind, reason: string): boolean {
  switch (how) {
    case 'logout':
    case 'shutdown':
    case 'kicked':
    case 'closed':
      return true;
    case 'inactive':
      return !/reading our output/.test(reason);
    default:
      return false;
  }
}
