import {describe, expect, test} from 'vitest';
import {aclLines, loadedPlugins, offeredBy} from '../../../../agent/move/features.ts';

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
    expect(offeredBy(loadedPlugins(OLD))).toEqual(['acl']);
    expect(offeredBy(loadedPlugins('mail_plugins = mail_crypt acl\n'))).toEqual(['acl', 'crypt']);
    expect(offeredBy(loadedPlugins('plugin {\n  acl = vfile\n}\nmail_plugins = quota\n'))).toEqual([]);
    expect(offeredBy(loadedPlugins(''))).toEqual([]);
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
