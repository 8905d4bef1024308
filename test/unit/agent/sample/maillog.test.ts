import {expect, test} from 'vitest';
import {parseFileLine, parseMailLine} from '../../../../agent/sample/maillog.ts';

const STATISTICS = 'in=36 out=33547 deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=1 body_bytes=32770';

test('a delivery by LMTP, with its stages', () => {
  const line =
    '4F2A1C0123: to=<Ada@Example.org>, relay=10.77.0.11[10.77.0.11]:24, delay=0.54, delays=0.05/0.18/0.17/0.14, dsn=2.0.0, status=sent (250 2.0.0 <ada@example.org> x Saved)';
  expect(parseMailLine('postfix/lmtp', line)).toEqual({
    kind: 'attempt',
    program: 'lmtp',
    transport: 'lmtp',
    user: 'ada@example.org',
    status: 'sent',
    dsn: '2.0.0',
    delayMs: 540,
    delaysMs: [50, 180, 170, 140],
    relay: '10.77.0.11[10.77.0.11]:24',
  });
});

test('the same with an alias, a reused connection, a long queue id, another syslog name', () => {
  const line =
    '4bKz3R5q1Xz9vFQ: to=<ada@example.org>, orig_to=<info@example.org>, relay=be07[private/dovecot-lmtp], conn_use=3, delay=12345, delays=12000/0.01/0/345, dsn=2.0.0, status=sent (250 ok)';
  expect(parseMailLine('postfix-in/submission/lmtp', line)).toMatchObject({
    kind: 'attempt',
    program: 'lmtp',
    transport: 'submission',
    delayMs: 12_345_000,
    delaysMs: [12_000_000, 10, 0, 345_000],
  });
});

test.each([
  ['postfix/qmgr', '4F2A1C0123: from=<a@x>, size=1540, nrcpt=1 (queue active)'],
  ['postfix/lmtp', 'warning: something'],
  ['sshd', '4F2A1C0123: to=<a@x>, relay=be[1.2.3.4]:24, delay=0.5, delays=0/0/0/0.5, dsn=2.0.0, status=sent (250 ok)'],
  ['dovecot', ''],
  ['dovecot', 'lmtp(27641): Disconnect from 127.0.0.1: Logged out (state=READY)'],
  ['dovecot', 'imap(ada@example.org)<27638><6VUFSQJhYpd/AAAB>: Error: something'],
  ['dovecot', 'lmtp(ada@example.org)<27641><k3>: sieve: msgid=<a@x>: forwarded to <b@x>'],
  ['dovecot', 'lmtp(ada@example.org)<27641><k3>: Error: msgid=<a@x>: save failed to INBOX: Disk quota exceeded'],
])('no event: %s %s', (identifier, line) => {
  expect(parseMailLine(identifier, line)).toBeNull();
});

test.each([
  [
    '2.3',
    'imap-login: Login: user=<Ada@example.org>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=27622, secured, session=<WgH+SAJhGpd/AAAB>',
  ],
  [
    '2.4',
    'imap-login: Logged in: user=<ada@example.org>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=27622, secured, session=<WgH+SAJhGpd/AAAB>',
  ],
  [
    '2.3 into a file',
    'imap-login: Info: Login: user=<ada@example.org>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, mpid=27622, session=<WgH+SAJhGpd/AAAB>',
  ],
])('a login in the words of %s', (_version, line) => {
  expect(parseMailLine('dovecot', line)).toEqual({kind: 'login', user: 'ada@example.org', session: 'WgH+SAJhGpd/AAAB'});
});

test.each([
  ['2.3 and 2.4, filed by Sieve', "lmtp(Ada@example.org)<27641><k3>: sieve: msgid=<a@x>: stored mail into mailbox 'INBOX'"],
  ['with the action', "lmtp(ada@example.org)<27641><k3>: sieve: msgid=<a@x>: fileinto action: Stored mail into mailbox 'Lists'"],
  ['without Sieve', 'lmtp(ada@example.org)<27641><k3>: msgid=<a@x>: saved mail to INBOX'],
  ['into a file', 'lmtp(ada@example.org)<27641><k3>: Info: msgid=<a@x>: saved mail to INBOX'],
  ['by dovecot-lda', 'lda(ada@example.org)<27641><k3>: msgid=<a@x>: saved mail to INBOX'],
])('a message in a mailbox: %s', (_words, line) => {
  expect(parseMailLine('dovecot', line)).toEqual({kind: 'stored', user: 'ada@example.org'});
});

test.each([
  ['Disconnected: Logged out', true],
  ['Logged out', true],
  ['Disconnected: Server shutting down.', true],
  ['Disconnected: User kicked', true],
  ['Disconnected: Kicked by admin', true],
  ['Disconnected: Connection closed (SELECT finished 0.002 secs ago)', true],
  ['Connection closed (No commands sent)', true],
  [
    'Disconnected: Connection closed (IDLE running for 0.001 + waiting input for 12.0 secs, 0.001 in locks, 2 B in + 10 B out, state=wait-input)',
    true,
  ],
  ['Disconnected: Inactivity - no input for 1800 secs', true],
  ['Disconnected: Connection closed: read(size=8176) failed: Connection reset by peer (SELECT finished 0.002 secs ago)', false],
  [
    'Disconnected: Connection closed: read(size=8168) failed: Connection reset by peer (IDLE running for 0.001 + waiting input for 0.001 secs, state=wait-input)',
    false,
  ],
  ['Disconnected: Connection closed: Connection timed out (IDLE running for 900 secs)', false],
  [
    'Disconnected: Connection closed (FETCH running for 0.001 + waiting output for 0.000 secs, 10 B in + 32813 B out, state=wait-output)',
    false,
  ],
  ['Disconnected: Connection closed (UID FETCH running for 0.001 secs, state=wait-output)', false],
  ['Disconnected: Connection closed (While APPENDing: 1 msgs, 0 secs, 3/100000 bytes)', false],
  ['Disconnected: Connection closed (While running APPEND command: 1 msgs, 1 secs, 3/100000 bytes)', false],
  ['Disconnected: Disconnected for inactivity in reading our output (FETCH running for 600 secs)', false],
])('an end: %s is orderly: %s', (reason, orderly) => {
  const event = parseMailLine('dovecot', `imap(Ada@example.org)<27632><Vm8DSQJhPJd/AAAB>: ${reason} ${STATISTICS}`);
  expect(event).toMatchObject({kind: 'ended', user: 'ada@example.org', session: 'Vm8DSQJhPJd/AAAB', orderly});
  expect(event).toHaveProperty('reason', reason.replace(/^Disconnected: /, ''));
});

test('a process that was killed took its user out', () => {
  const line = 'imap(ada@example.org)<27848><1tfwSwJhvrh/AAAB>: Fatal: master: service(imap): child 27848 killed with signal 9';
  expect(parseMailLine('dovecot', line)).toMatchObject({
    kind: 'ended',
    session: '1tfwSwJhvrh/AAAB',
    orderly: false,
    reason: 'killed with signal 9',
  });
});

test.each([
  'Disconnected: Internal login failure (pid=27852 id=1): user=<ada@example.org>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, secured, session=<kU3xSwJh0Lh/AAAB>',
  'Login aborted: Internal login failure (pid=7522 id=1) (internal failure, 1/1 successful auths in 10 secs) (internal_failure): user=<ada@example.org>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, secured, session=<WU/G9AJhVoN/AAAB>',
  'Disconnected: Connection closed (internal failure, 1 successful auths): user=<ada@example.org>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, secured, session=<iqm18AJhvKJ/AAAB>',
])('a right password without a session: %s', line => {
  expect(parseMailLine('dovecot', `imap-login: ${line}`)).toMatchObject({kind: 'refused', user: 'ada@example.org'});
});

const PROXY = 'imap-login: proxy(ada@example.org,10.77.0.11:143):';
const WHO = 'user=<ada@example.org>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, secured, session=<Ezp78AJhcI9/AAAB>';

test.each([['<10.77.0.11> (0.017 secs)'], ['remote host (12.039 secs, 2 reconnects)']])('a proxied login, to %s', target => {
  expect(parseMailLine('dovecot', `${PROXY} Started proxying to ${target}: ${WHO}`)).toEqual({
    kind: 'login',
    user: 'ada@example.org',
    session: 'Ezp78AJhcI9/AAAB',
  });
});

test.each([
  ['Disconnected by client (0s idle, in=216, out=823)', true],
  ['Disconnected by server (0s idle, in=227, out=887)', true],
  ['Disconnected by proxy: Kicked by admin', true],
  ['Disconnected by client: read(size=992) failed: Connection reset by peer (0s idle, in=214, out=823)', false],
  ['Disconnected by client: Connection reset by peer (0s idle, in=237, out=36819+4096, client output blocked)', false],
  ['Disconnected by server: read(size=980) failed: Connection timed out (0s idle, in=214, out=823)', false],
])('a proxied end: %s is orderly: %s', (text, orderly) => {
  expect(parseMailLine('dovecot', `${PROXY} ${text}: ${WHO}`)).toMatchObject({
    kind: 'ended',
    user: 'ada@example.org',
    session: 'Ezp78AJhcI9/AAAB',
    orderly,
  });
});

test('a proxy that tries again has not lost anybody yet', () => {
  const line = `${PROXY} Disconnected by server: Connection closed (state=login/id, duration=10s) - reconnecting (attempt #1): ${WHO}`;
  expect(parseMailLine('dovecot', line.replace('imap-login: ', 'imap-login: Warning: '))).toBeNull();
});

test('attempts that did not deliver, with their codes; no relay was reached', () => {
  const deferred =
    '9A7581A4114: to=<x@Gmail.com>, relay=none, delay=0.02, delays=0.01/0.01/0/0, dsn=4.4.1, status=deferred (connect to mx[192.0.2.1]:25: Connection refused)';
  expect(parseMailLine('postfix/smtp', deferred)).toMatchObject({
    kind: 'attempt',
    program: 'smtp',
    transport: 'smtp',
    user: 'x@gmail.com',
    relay: null,
    status: 'deferred',
    dsn: '4.4.1',
  });
  const bounced = '9A7581A4114: to=<x@y>, relay=mx.y[192.0.2.1]:25, delay=2, delays=0/0/1/1, dsn=5.1.1, status=bounced (host said: 550)';
  expect(parseMailLine('postfix/relay/smtp', bounced)).toMatchObject({
    transport: 'relay',
    status: 'bounced',
    dsn: '5.1.1',
    relay: 'mx.y[192.0.2.1]:25',
  });
});

test.each([
  [
    'postfix/master',
    'warning: service "smtp" (25) has reached its process limit "100": new clients may experience noticeable delays',
    'postfixProcesses',
    'smtp',
    100,
  ],
  [
    'dovecot',
    'master: Warning: service(imap): process_limit (3) reached, client connections are being dropped',
    'dovecotProcesses',
    'imap',
    3,
  ],
  [
    'dovecot',
    'master: Warning: service(imap): process_limit reached, client connections are being dropped',
    'dovecotProcesses',
    'imap',
    null,
  ],
  [
    'dovecot',
    'master: Warning: service(imap-login): client_limit (200) reached, client connections are being dropped',
    'dovecotClients',
    'imap-login',
    200,
  ],
  [
    'dovecot',
    'master: Warning: service(auth): client_limit/service_count (1) reached, client connections are being dropped',
    'dovecotClients',
    'auth',
    1,
  ],
  [
    'dovecot',
    'imap(ada@example.org)<27638><6VUFSQJhYpd/AAAB>: Warning: Inotify instance limit for user 5000 (UID vmail) exceeded, disabling. Increase /proc/sys/fs/inotify/max_user_instances',
    'inotifyInstances',
    'imap',
    null,
  ],
  [
    'dovecot',
    'imap(ada@example.org): Warning: Inotify watch limit for user exceeded, disabling. Increase /proc/sys/fs/inotify/max_user_watches',
    'inotifyWatches',
    'imap',
    null,
  ],
])('a limit: %s %s', (identifier, line, limit, service, max) => {
  expect(parseMailLine(identifier, line)).toEqual({kind: 'limit', limit, service, max});
});

test.each([
  ['CONNECT from [192.0.2.7]:64492 to [198.51.100.6]:25', 'connect'],
  ['PASS OLD [192.0.2.7]:64492', 'passOld'],
  ['PASS NEW [192.0.2.7]:64492', 'passNew'],
  ['WHITELISTED [192.0.2.7]:64492', 'allowlisted'],
  ['ALLOWLISTED [192.0.2.7]:64492', 'allowlisted'],
  ['BLACKLISTED [192.0.2.7]:64492', 'denylisted'],
  ['DENYLISTED [192.0.2.7]:64492', 'denylisted'],
  ['DNSBL rank 14 for [192.0.2.7]:54308', 'dnsbl'],
  ['PREGREET 11 after 0.15 from [192.0.2.7]:54308: EHLO x\\r\\n', 'pregreet'],
  ['HANGUP after 1.2 from [192.0.2.7]:54308 in tests before SMTP handshake', 'hangup'],
  ['COMMAND PIPELINING from [192.0.2.7]:54308 after HELO', 'protocol'],
  ['BARE NEWLINE from [192.0.2.7]:54308 after DATA', 'protocol'],
  ['NON-SMTP COMMAND from [192.0.2.7]:54308 after CONNECT: GET / HTTP/1.1', 'protocol'],
  ['NOQUEUE: reject: RCPT from [192.0.2.7]:54308: 550 5.7.1 Service unavailable', 'reject'],
  ['NOQUEUE: reject: CONNECT from [192.0.2.7]:54308: all screening ports busy', 'busy'],
])('postscreen: %s', (line, outcome) => {
  expect(parseMailLine('postfix/postscreen', line)).toEqual({kind: 'screened', outcome});
});

test.each([
  'DISCONNECT [192.0.2.7]:54308',
  'CONNECT from [127.0.0.1]:64492 to [127.0.0.1]:25',
  'PASS OLD [::1]:64492',
  'cache x full cleanup',
])('postscreen says nothing of interest: %s', line => {
  expect(parseMailLine('postfix/postscreen', line)).toBeNull();
});

test.each([
  'imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<Bad>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, session=<6r8ISQJhbpd/AAAB>',
  'imap-login: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) (auth_failed): user=<bad>, method=PLAIN, rip=127.0.0.1, lip=127.0.0.1, session=<6r8ISQJhbpd/AAAB>',
])('a wrong password: %s', line => {
  expect(parseMailLine('dovecot', line)).toEqual({kind: 'rejected', user: 'bad'});
});

test.each([
  ['2026-11-24T15:21:48.123456+00:00 be07 postfix/smtp[228]: 9A7: to=<x@y>', 'postfix/smtp', '9A7: to=<x@y>'],
  ['Nov 24 15:21:48 be07 postfix/relay/smtp[228]: x: y', 'postfix/relay/smtp', 'x: y'],
  ['Nov  4 15:21:48 be07 dovecot: imap-login: Login: user=<a>', 'dovecot', 'imap-login: Login: user=<a>'],
  ['Nov 24 15:21:48 imap-login: Info: Login: user=<a>', 'dovecot', 'imap-login: Info: Login: user=<a>'],
  ['2026-11-24 15:21:48 imap(a@x)<12><s>: Info: Logged out in=1 out=2', 'dovecot', 'imap(a@x)<12><s>: Info: Logged out in=1 out=2'],
])('a line of a file: %s', (line, identifier, message) => {
  expect(parseFileLine(line)).toEqual({identifier, message});
});

test.each(['', 'x', 'Nov 24', '\u0000\uFFFD', '    at stack (trace)', 'Nov 24 15:21:48 be07 '])('no line of a log: %j', line => {
  expect(parseFileLine(line)).toBeNull();
});
