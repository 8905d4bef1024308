import {describe, expect, test} from 'vitest';
import {readDialect, whyNotFound, whyUnfit} from '../../../../agent/move/seed-fit.ts';

const OLD = `# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf
# Pigeonhole version 0.5.19 (4eae2f79)
mail_location = maildir:~/Maildir
mail_plugins = quota
`;
const NEW = `# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf
mail_driver = maildir
mail_plugins {
  quota = yes
}
`;

function dialect(text: string): NonNullable<ReturnType<typeof readDialect>> {
  const found = readDialect(text);
  if (found === null) throw new Error('this configuration must be understood');
  return found;
}

describe('how files are written', () => {
  test('is read from doveconf of both releases', () => {
    expect(readDialect(OLD)).toEqual({dovecot: '2.3', transforms: []});
    expect(readDialect(NEW)).toEqual({dovecot: '2.4', transforms: []});
    expect(readDialect(`${OLD}protocol lmtp {\n  mail_plugins = quota zlib mail_crypt\n}\n`)?.transforms).toEqual(['compress', 'crypt']);
    expect(readDialect(NEW.replace('quota = yes', 'mail_compress = yes'))?.transforms).toEqual(['compress']);
    expect(readDialect(`${OLD}# zlib is not loaded\n`)?.transforms).toEqual([]);
    expect(readDialect('mail_plugins = quota\n')).toBeNull();
  });

  test('decides whether the other host can read them', () => {
    const zlib = dialect(`${OLD}mail_plugins = zlib\n`);
    const compress = dialect(`${NEW}mail_plugins = mail_compress\n`);
    const crypt = dialect(`${OLD}mail_plugins = mail_crypt\n`);
    expect(whyUnfit('maildir', dialect(OLD), dialect(NEW))).toBeNull();
    expect(whyUnfit('maildir', zlib, zlib)).toBeNull();
    expect(whyUnfit('maildir', zlib, dialect(OLD))).toMatch(/compress on the source, by nothing/);
    expect(whyUnfit('maildir', dialect(OLD), zlib)).toMatch(/by nothing on the source/);
    expect(whyUnfit('maildir', zlib, compress)).toMatch(/releases differ/);
    expect(whyUnfit('maildir', crypt, crypt)).toMatch(/crypt/);
  });
});

describe('what Dovecot finds', () => {
  const sent = [{guid: 'a', uidValidity: 7, messages: 2}];
  test('is what was sent, or the first difference', () => {
    expect(whyNotFound(sent, [{mailbox: 'INBOX', guid: 'a', uidvalidity: '7', messages: '2'}])).toBeNull();
    expect(whyNotFound(sent, [{mailbox: 'INBOX', guid: 'b', uidvalidity: '7', messages: '2'}])).toMatch(/no folder/);
    expect(whyNotFound(sent, [{mailbox: 'INBOX', guid: 'a', uidvalidity: '8', messages: '2'}])).toMatch(/UIDVALIDITY 8/);
    expect(whyNotFound(sent, [{mailbox: 'INBOX', guid: 'a', uidvalidity: '7', messages: '1'}])).toMatch(/1 messages in INBOX/);
  });
});
