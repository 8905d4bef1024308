import {expect, test} from 'vitest';
import {dovecotServices, parseMasterCf, postfixServices} from '../../../../agent/sample/services.ts';

const MASTER_CF = `smtp       inet  n       -       y       -       -       smtpd
pickup     unix  n       -       y       60      1       pickup
cleanup    unix  n       -       y       -       0       cleanup
smtp       unix  -       -       y       -       20      smtp -o syslog_name=postfix/$service_name
127.0.0.1:10025 inet n   -       n       -       10      smtpd
    -o a=b c d e f 7
odd        unix  -       -       y       -       many    odd
short line
`;

test('limits by service: given, by default, none', () => {
  expect(parseMasterCf(MASTER_CF, 100)).toEqual(
    new Map([
      ['smtp/inet', 100],
      ['pickup/unix', 1],
      ['cleanup/unix', null],
      ['smtp/unix', 20],
      ['127.0.0.1:10025/inet', 10],
    ]),
  );
  expect(parseMasterCf('', 100)).toEqual(new Map());
});

test('Postfix: the nearest to its limit first; single services are not told', () => {
  const counts = [
    {service: 'pickup/unix', processes: 1, stressed: 0},
    {service: 'smtp/inet', processes: 50, stressed: 3},
    {service: 'smtp/unix', processes: 19, stressed: 0},
    {service: 'cleanup/unix', processes: 70, stressed: 0},
    {service: 'new/unix', processes: 2, stressed: 0},
  ];
  expect(postfixServices(counts, parseMasterCf(MASTER_CF, 100))).toEqual({
    processes: 142,
    stressed: 1,
    busiest: [
      {service: 'smtp/unix', processes: 19, max: 20, dropping: false},
      {service: 'smtp/inet', processes: 50, max: 100, dropping: false},
    ],
  });
});

const status = (name: string, processes: number, max: number, lastDrop = 0, pending = 'n'): string =>
  [name, processes, 0, max, 1, 0, 0, 0, lastDrop, pending, 'y', 'n', 7].join('\t');

test('Dovecot: what drops connections comes first, now or a moment ago', () => {
  const lines = [
    status('imap', 900, 1024),
    status('auth', 1, 1),
    status('lmtp', 0, 100),
    status('imap-login', 5, 100, 1_000_000, 'n'),
    status('pop3', 1, 100, 900_000, 'n'),
    status('stats', 1, 1, 0, 'y'),
  ];
  expect(dovecotServices(lines, 1_000_050, 60)).toEqual({
    processes: 908,
    stressed: null,
    busiest: [
      {service: 'stats', processes: 1, max: 1, dropping: true},
      {service: 'imap-login', processes: 5, max: 100, dropping: true},
      {service: 'imap', processes: 900, max: 1024, dropping: false},
    ],
  });
});

test('what is no status is left out', () => {
  expect(dovecotServices(['', 'x', 'imap\tmany\t0\t3', '\u0000\t\t\t', status('imap', 1, 3)], 0, 60).processes).toBe(1);
});
