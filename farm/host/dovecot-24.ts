import {dovecot24} from '../../wire/mail-config/dovecot-24.ts';
import type {MailSite} from '../../wire/mail-config/site.ts';
import {file, type HostFile, ofProduct} from './file.ts';
import {MAILBOXES} from './site.ts';

function common(protocols: readonly string[]): string {
  return `dovecot_config_version = 2.4.1
dovecot_storage_version = 2.3.0
protocols {
${protocols.map(name => `  ${name} = yes\n`).join('')}}
listen = *
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain login
mail_max_userip_connections = 100
default_client_limit = 4000
import_environment {
  LD_PRELOAD = %{env:LD_PRELOAD}
}
service anvil {
  client_limit = 4003
}
service auth {
  client_limit = 8000
}
`;
}

function backend(): string {
  return `${common(['imap', 'lmtp', 'sieve'])}
mail_driver = maildir
mail_path = ~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
mail_plugins {
  quota = yes
}
service imap-login {
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 0
  }
}
namespace inbox {
  inbox = yes
  separator = /
}
# The operator's own passwords come after the fence
!include mailherd.conf
passdb passwd-file {
  driver = passwd-file
  passwd_file_path = /etc/dovecot/users
}
quota "User quota" {
  storage_size = 1G
}
sieve_script personal {
  driver = file
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}
protocol imap {
  mail_plugins {
    imap_quota = yes
  }
}
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
# What the operator adds by hand
!include_try local.conf
`;
}

function edge(): string {
  return `${common(['imap', 'sieve'])}
# Nobody's mailbox is here
mail_driver = maildir
mail_path = ~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
service imap-login {
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 0
  }
}
!include mailherd.conf
userdb static {
  fields {
    uid = ${MAILBOXES.uid}
    gid = ${MAILBOXES.gid}
    home = /var/vmail/%{user | domain}/%{user | username}
  }
}
!include_try local.conf
`;
}

/** Configuration of Dovecot 2.4 (Debian 13). */
export function dovecot24Files(site: MailSite): HostFile[] {
  return [file('/etc/dovecot/dovecot.conf', site.role === 'edge' ? edge() : backend()), ...dovecot24(site).map(ofProduct)];
}
