import {dovecot23} from '../../wire/mail-config/dovecot-23.ts';
import type {MailSite} from '../../wire/mail-config/site.ts';
import {file, type HostFile, ofProduct} from './file.ts';
import {MAILBOXES} from './site.ts';

function common(protocols: string): string {
  return `protocols = ${protocols}
listen = *
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_max_userip_connections = 100
default_client_limit = 4000
import_environment = $import_environment LD_PRELOAD
service anvil {
  client_limit = 4003
}
service auth {
  client_limit = 8000
}
`;
}

function backend(): string {
  return `${common('imap lmtp sieve')}
mail_location = maildir:~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
mail_plugins = quota
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
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
plugin {
  quota = count:User quota
  quota_rule = *:storage=1G
  quota_vsizes = yes
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
# What the operator adds by hand
!include_try local.conf
`;
}

function edge(): string {
  return `${common('imap sieve')}
# Nobody's mailbox is here
mail_location = maildir:~/Maildir
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
userdb {
  driver = static
  args = uid=${MAILBOXES.uid} gid=${MAILBOXES.gid} home=${MAILBOXES.home}
}
!include_try local.conf
`;
}

/** Configuration of Dovecot 2.3 (Debian 12). */
export function dovecot23Files(site: MailSite): HostFile[] {
  return [file('/etc/dovecot/dovecot.conf', site.role === 'edge' ? edge() : backend()), ...dovecot23(site).map(ofProduct)];
}
