import type {HostSpec, Layout} from '../layout.ts';
import {file, type HostFile, secret} from './file.ts';
import {
  BACKEND_ITERATE,
  backendPassdb,
  backendUserdb,
  edgePassdb,
  type QueryWords,
  ROUTES_DB,
  ROUTES_DB_SINCE_BOOT,
} from './route-queries.ts';

const WORDS: QueryWords = {
  user: '%{user}',
  protocol: '%{protocol}',
  home: '/var/vmail/%{user | domain}/%{user | username}',
};

function common(layout: Layout, routesDb: string, protocols: readonly string[]): string {
  return `dovecot_config_version = 2.4.1
dovecot_storage_version = 2.3.0
protocols {
${protocols.map(name => `  ${name} = yes\n`).join('')}}
listen = *
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain login
auth_cache_size = 0
login_trusted_networks = 127.0.0.0/8 ${layout.network}
mail_max_userip_connections = 100
default_client_limit = 4000
shutdown_clients = no
import_environment {
  LD_PRELOAD = %{env:LD_PRELOAD}
}
service anvil {
  client_limit = 4003
  # All logins come from one edge: no penalty by address
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  client_limit = 8000
}
sql_driver = sqlite
sqlite_path = ${routesDb}
`;
}

function backend(layout: Layout): string {
  return `${common(layout, ROUTES_DB_SINCE_BOOT, ['imap', 'lmtp', 'sieve'])}
# The proxy in front tries again at once; a delay here would only make its users wait
auth_failure_delay = 0
auth_internal_failure_delay = 0

mail_driver = maildir
mail_path = ~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
mail_plugins {
  quota = yes
}
lmtp_proxy = yes
!include doveadm-password.conf.ext
service imap-login {
  restart_request_count = unlimited
  process_min_avail = 1
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    port = 24
  }
}
service doveadm {
  # A pass of a move finds its process there instead of waiting for its start
  process_min_avail = 1
  inet_listener tcp {
    port = 24245
  }
}
namespace inbox {
  inbox = yes
  separator = /
}
# First the fence, then the operator's own passwords
passdb sql {
  driver = sql
  query = ${backendPassdb(WORDS, 24)}
  result_failure = return-fail
  result_internalfail = return-fail
}
passdb passwd-file {
  driver = passwd-file
  passwd_file_path = /etc/dovecot/users
}
userdb sql {
  query = ${backendUserdb(WORDS)}
  iterate_query = ${BACKEND_ITERATE}
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

function edge(layout: Layout): string {
  return `${common(layout, ROUTES_DB, ['imap', 'sieve'])}
# Nobody's mailbox is here
mail_driver = maildir
mail_path = ~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
login_proxy_timeout = 30 secs
# While a mailbox changes hosts its new host refuses for a moment: the login waits instead of failing
login_proxy_max_reconnects = 20
service imap-login {
  restart_request_count = unlimited
  process_min_avail = 1
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 0
  }
}
passdb sql {
  query = ${edgePassdb(WORDS, {imap: 143, sieve: 4190})}
}
userdb static {
  fields {
    uid = 5000
    gid = 5000
    home = ${WORDS.home}
  }
}
!include_try local.conf
`;
}

/** Configuration of Dovecot 2.4 (Debian 13). @param doveadmPassword what backends show each other for a copy over TCP. */
export function dovecot24Files(layout: Layout, spec: HostSpec, doveadmPassword: string): HostFile[] {
  if (spec.role === 'edge') return [file('/etc/dovecot/dovecot.conf', edge(layout))];
  return [
    file('/etc/dovecot/dovecot.conf', backend(layout)),
    secret('/etc/dovecot/doveadm-password.conf.ext', `doveadm_password = ${doveadmPassword}\n`),
  ];
}
