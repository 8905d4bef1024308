import fc from 'fast-check';
import {expect, test} from 'vitest';
import {Latencies, metricsFor, missingMetrics} from '../../agent/sample/dovecot-metrics.ts';
import {parseFileLine, parseMailLine} from '../../agent/sample/maillog.ts';
import {dovecotServices, parseMasterCf} from '../../agent/sample/services.ts';
import {MailTally} from '../../agent/sample/tally.ts';

/** Real lines, to be spoilt. */
const LINES: [identifier: string, message: string][] = [
  [
    'postfix/lmtp',
    '4F2A1C0123: to=<a@x>, orig_to=<b@x>, relay=be[1.2.3.4]:24, conn_use=3, delay=0.5, delays=0/0/0/0.5, dsn=2.0.0, status=sent (250 ok)',
  ],
  ['postfix/master', 'warning: service "smtp" (25) has reached its process limit "100": new clients may experience noticeable delays'],
  ['postfix/postscreen', 'PREGREET 11 after 0.15 from [192.0.2.7]:54308: EHLO x'],
  ['dovecot', 'imap-login: Logged in: user=<a@x>, method=PLAIN, rip=::1, lip=::1, mpid=1, session=<s1>'],
  ['dovecot', 'imap(a@x)<1><s1>: Disconnected: Connection closed (UID FETCH running for 0.001 secs, state=wait-output) in=36 out=33547'],
  ['dovecot', 'imap-login: proxy(a@x,10.0.0.1:143): Started proxying to <10.0.0.1> (0.017 secs): user=<a@x>, session=<s1>'],
  ['dovecot', "lmtp(a@x)<1><s1>: sieve: msgid=<m@x>: stored mail into mailbox 'INBOX'"],
  ['dovecot', 'master: Warning: service(imap): process_limit (3) reached, client connections are being dropped'],
  ['dovecot', 'imap(a@x)<1><s1>: Warning: Inotify instance limit for user 5000 (UID vmail) exceeded, disabling'],
];

/** A piece of a line that somebody else's bytes, or its own, stand in for, once or many times. */
const spoilt = fc
  .tuple(fc.constantFrom(...LINES), fc.nat(200), fc.nat(40), fc.string({maxLength: 20, unit: 'binary'}), fc.constantFrom(0, 1, 1, 300))
  .map(([[identifier, message], at, length, piece, times]): [string, string] => {
    const inserted = (piece === '' ? message.slice(at, at + 5) : piece).repeat(times);
    return [identifier, message.slice(0, at) + inserted + message.slice(at + length)];
  });

test('whatever stands in a log, a line is an event that can be counted or none', () => {
  fc.assert(
    fc.property(fc.array(spoilt, {maxLength: 30}), lines => {
      const tally = new MailTally();
      for (const [identifier, message] of lines) {
        const event = parseMailLine(identifier, message);
        if (event !== null) tally.add(event);
        parseFileLine(`Nov 24 15:21:48 be07 ${identifier}[1]: ${message}`);
        parseFileLine(message);
      }
      const {deliveryMs, deliveries, dropped, sessions, attempts} = tally.take();
      expect(deliveryMs.every(ms => Number.isFinite(ms) && ms >= 0)).toBe(true);
      expect(deliveries + dropped + sessions).toBeLessThanOrEqual(3 * lines.length);
      expect(attempts.length).toBeLessThanOrEqual(6);
    }),
    {numRuns: 2_000},
  );
});

test('whatever Dovecot and Postfix answer, figures are counts', () => {
  const line = fc.oneof(
    fc.string({unit: 'binary'}),
    fc
      .array(fc.oneof(fc.integer().map(String), fc.constantFrom('imap', 'y', 'n', '', '-', '18446744073709551615')), {maxLength: 14})
      .map(words => words.join('\t')),
    fc
      .tuple(fc.constantFrom('imap_SELECT', 'lmtp', 'login_x'), fc.bigInt(), fc.bigInt())
      .map(([name, from, count]) => `mailherd_${name}_duration_${from}_inf\t${count}`),
  );
  fc.assert(
    fc.property(fc.array(line), fc.array(line), (before, after) => {
      const latencies = new Latencies();
      latencies.take(before);
      for (const {us} of latencies.take(after) ?? []) expect(us.every(each => Number.isInteger(each) && each >= 0)).toBe(true);
      missingMetrics(after, metricsFor(null));
      for (const {processes, max} of dovecotServices(after, 1e9, 60).busiest)
        expect(processes >= 0 && (max === null || max >= 0)).toBe(true);
      for (const max of parseMasterCf(after.join('\n').replaceAll('\t', ' '), 100).values()) expect(max === null || max > 0).toBe(true);
    }),
    {numRuns: 1_000},
  );
});
