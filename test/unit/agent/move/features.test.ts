import {describe, expect, test} from 'vitest';
import {aclLines, hasUserKeys, isHibernating, loadedPlugins, metadataFile, offeredIn} from '../../../../agent/move/features.ts';

const OLD = `# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf
mail_plugins = quota acl zlib
plugin {
  mail_crypt_save_version = 2
}
protocol imap {
  mail_plugins = quota imap_quota acl imap_acl
}
`;
const NEW = `# 2.4.1-4 (7d8c0e5759): /etc/dovecot/dovecot.conf
acl_driver = vfile
mail_plugins {
  quota = yes
  acl = no
}
protocol imap {
  mail_plugins {
    acl = yes
    imap_acl = yes
  }
}
`;

describe('features', () => {
  test('are known by the plugins that are loaded, not by settings', () => {
    expect([...loadedPlugins(OLD)].sort()).toEqual(['acl', 'imap_acl', 'imap_quota', 'quota', 'zlib']);
    expect([...loadedPlugins(NEW)].sort()).toEqual(['acl', 'imap_acl', 'quota']);
    expect(offeredIn(OLD)).toEqual(['acl']);
    expect(offeredIn('mail_plugins = mail_crypt acl\n')).toEqual(['acl', 'crypt']);
    expect(offeredIn('plugin {\n  acl = vfile\n}\nmail_plugins = quota\n')).toEqual([]);
    expect(offeredIn('')).toEqual([]);
  });
});

test('keys that users have of their own are known by their curve, where mail is encrypted at all', () => {
  expect(hasUserKeys('mail_plugins = quota mail_crypt\nplugin {\n  mail_crypt_curve = secp521r1\n}\n')).toBe(true);
  expect(hasUserKeys('mail_plugins {\n  mail_crypt = yes\n}\ncrypt_user_key_curve = X25519\n')).toBe(true);
  expect(hasUserKeys('mail_plugins = mail_crypt\nplugin {\n  mail_crypt_global_public_key = </etc/x\n}\n')).toBe(false);
  expect(hasUserKeys('mail_plugins = quota\nplugin {\n  mail_crypt_curve = secp521r1\n}\n')).toBe(false);
  expect(hasUserKeys('mail_plugins = mail_crypt\nplugin {\n  mail_crypt_curve = \n}\n')).toBe(false);
});

describe('metadata', () => {
  const recent = (path: string): string => `mail_attribute {\n  dict file {\n    path = ${path}\n  }\n}\n`;
  const home = '/var/vmail/farm.example/ada';

  test('are kept where there is a store for them', () => {
    expect(offeredIn('mail_attribute_dict = file:%h/dovecot-attributes\n')).toEqual(['metadata']);
    expect(offeredIn(recent('%{home}/attributes'))).toEqual(['metadata']);
    expect(offeredIn('#mail_attribute_dict = file:x\nimap_metadata = yes\n')).toEqual([]);
  });

  test.each([
    ['mail_attribute_dict = file:%h/dovecot-attributes\n', `${home}/dovecot-attributes`],
    ['mail_attribute_dict = file:~/attributes\n', `${home}/attributes`],
    ['mail_attribute_dict = file:/var/attributes/%d/%n\n', '/var/attributes/farm.example/ada'],
    [recent('%{home}/attributes'), `${home}/attributes`],
    [recent('/var/%{user|domain}/%{user | username}'), '/var/farm.example/ada'],
    ['mail_attribute_dict = proxy:dict-async:attributes\n', null],
    ['mail_attribute_dict = file:/var/%5Mu\n', null],
    ['mail_attribute {\n  dict redis {\n    host = x\n  }\n}\n', null],
    ['', null],
  ])('%j', (doveconf, path) => {
    expect(metadataFile(doveconf, 'ada@farm.example', home)).toBe(path);
  });
});

test('lists are told in one order, without what the host itself sets', () => {
  const rows = [
    {ID: 'user=y', Global: '', Rights: '-write-deleted'},
    {ID: 'anyone', Global: '', Rights: 'read lookup '},
    {ID: 'owner', Global: '*', Rights: 'lookup read'},
  ];
  expect(aclLines(rows)).toEqual(['anyone lookup read', 'user=y -write-deleted']);
});

test('sessions hibernate where a time is set for it, in whatever unit', () => {
  for (const set of [
    'imap_hibernate_timeout = 30s\n',
    'protocol imap {\n  imap_hibernate_timeout = 1 mins\n}\n',
    'imap_hibernate_timeout = 05s\n',
  ])
    expect(isHibernating(set)).toBe(true);
  for (const off of ['', 'imap_hibernate_timeout = 0\n', 'imap_hibernate_timeout = 0s\n', 'imap_hibernate_timeout = \n'])
    expect(isHibernating(off)).toBe(false);
});
