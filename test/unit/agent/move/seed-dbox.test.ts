import {describe, expect, test} from 'vitest';
import {isDboxPath, unsent} from '../../../../agent/move/seed-dbox.ts';

describe('what may be unpacked', () => {
  test.each([
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/u.17', false],
    ['sdbox', 'mailboxes/A/B &AOQ-/dbox-Mails/dovecot.index.log', false],
    ['mdbox', 'mailboxes/INBOX/dbox-Mails/dovecot.index', false],
    ['mdbox', 'storage/m.1', false],
    ['mdbox', 'storage/dovecot.map.index.log', false],
    ['mdbox', 'storage', true],
    ['sdbox', 'mailboxes/A/dbox-Mails/', true],
  ] as const)('%s: %s', (format, path, isDirectory) => {
    expect(isDboxPath(format, path, isDirectory)).toBe(true);
  });

  test.each([
    ['sdbox', 'storage/m.1', false],
    ['mdbox', 'mailboxes/INBOX/dbox-Mails/u.17', false],
    ['sdbox', 'mailboxes/../dbox-Mails/u.1', false],
    ['sdbox', 'mailboxes//dbox-Mails/u.1', false],
    ['sdbox', '/mailboxes/INBOX/dbox-Mails/u.1', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/u.1/x', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/dovecot.index.cache', false],
    ['sdbox', 'mailboxes/INBOX/dbox-Mails/dovecot-acl', false],
    ['sdbox', 'u.1', false],
    ['mdbox', 'dovecot.list.index', false],
    ['mdbox', 'storage/m.1', true],
    ['mdbox', '../storage', true],
    ['sdbox', 'sieve', true],
  ] as const)('not %s: %s', (format, path, isDirectory) => {
    expect(isDboxPath(format, path, isDirectory)).toBe(false);
  });
});

describe('files that grow', () => {
  const file = (version: string, mtimeMs: number) => ({version, mtimeMs, bytes: 1});
  const now = new Map([
    ['old', file('a', 1_000)],
    ['grown', file('b2', 1_000)],
    ['racy', file('c', 9_500)],
    ['new', file('d', 1_000)],
  ]);

  test('are sent again when they were written to since, or so shortly before that it cannot be told', () => {
    const sent = new Map([...now].filter(([name]) => name !== 'new').map(([name, each]) => [name, {...each, begunMs: 10_000}]));
    sent.set('grown', {...file('b1', 1_000), begunMs: 10_000});
    expect(unsent(now, sent)).toEqual(['grown', 'racy', 'new']);
  });
});
