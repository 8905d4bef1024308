import type {Millis} from '../../base/units.ts';
import type {Delays, MailEvent} from './maillog.ts';

/** @param message of one of Postfix's programs. */
export function parsePostfixLine(transport: string, program: string, message: string): MailEvent | null {
  if (program === 'master') return parseMaster(message);
  if (program === 'postscreen') return parsePostscreen(message);
  return parseAttempt(transport, program, message);
}

/** Source: log_adhoc.c of Postfix, postconf(5) delay_logging_resolution_limit. */
const ATTEMPT =
  /^[0-9A-Za-z]+: to=<([^>]*)>,(?: orig_to=<[^>]*>,)? relay=([^,]+),(?: conn_use=\d+,)? delay=([\d.]+),(?: delays=([\d.]+)\/([\d.]+)\/([\d.]+)\/([\d.]+),)? dsn=([\d.]+), status=(\w+)/;

function parseAttempt(transport: string, program: string, message: string): MailEvent | null {
  const match = ATTEMPT.exec(message);
  if (match === null) return null;
  const [, user = '', relay = '', delay = '', a, b, c, d, dsn = '', status = ''] = match;
  const delayMs = milliseconds(delay);
  if (delayMs === undefined) return null;
  const delaysMs = wholeDelays([a, b, c, d].map(milliseconds));
  return {
    kind: 'attempt',
    program,
    transport,
    user: user.toLowerCase(),
    relay: relay === 'none' ? null : relay.toLowerCase(),
    status,
    dsn,
    delayMs,
    delaysMs,
  };
}

function wholeDelays([before, queued, connecting, sending]: (Millis | undefined)[]): Delays | null {
  const whole = before !== undefined && queued !== undefined && connecting !== undefined && sending !== undefined;
  return whole ? [before, queued, connecting, sending] : null;
}

function milliseconds(seconds: string | undefined): Millis | undefined {
  if (seconds === undefined) return undefined;
  const value = Number(seconds);
  return Number.isFinite(value) ? Math.round(value * 1000) : undefined;
}

/** Source: master_avail.c of Postfix. */
const PROCESS_LIMIT = /^warning: service "([^"]+)" \([^)]*\) has reached its process limit "(\d{1,9})"/;

function parseMaster(message: string): MailEvent | null {
  const [, service, max] = PROCESS_LIMIT.exec(message) ?? [];
  return service === undefined ? null : {kind: 'limit', limit: 'postfixProcesses', service, max: Number(max)};
}

/** First words of what postscreen(8) logs of a client, in older and newer words. */
const SCREENED: readonly [outcome: string, line: RegExp][] = [
  ['connect', /^CONNECT from /],
  ['passNew', /^PASS NEW /],
  ['passOld', /^PASS OLD /],
  ['allowlisted', /^(?:ALLOW|WHITE)LISTED /],
  ['denylisted', /^(?:DENY|BLACK)LISTED /],
  ['dnsbl', /^DNSBL rank /],
  ['pregreet', /^PREGREET /],
  ['hangup', /^HANGUP /],
  ['protocol', /^(?:COMMAND |BARE NEWLINE |NON-SMTP COMMAND )/],
  ['busy', /^NOQUEUE: reject: CONNECT .* ports busy/],
  ['reject', /^NOQUEUE: reject: /],
];
/** The agent's own probes come from here, and programs of the host itself. */
const FROM_HERE = /\[(?:127\.[\d.]+|::1)\]:\d+(?: to |:|;|$)/;

function parsePostscreen(message: string): MailEvent | null {
  if (FROM_HERE.test(message)) return null;
  const found = SCREENED.find(([, line]) => line.test(message));
  return found === undefined ? null : {kind: 'screened', outcome: found[0]};
}
