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

const WORDS: QueryWords = {user: '%u', protocol: '%s', home: '/var/vmail/%d/%n'};

function common(layout: Layout, protocols: string): string {
  return `protocols = ${protocols}
listen = *
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 0
login_trusted_networks = 127.0.0.0/8 ${layout.network}
mail_max_userip_connections = 100
default_client_limit = 4000
shutdown_clients = no
import_environment = $import_environment LD_PRELOAD
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
`;
}

function backend(layout: Layout): string {
  return `${common(layout, 'imap lmtp sieve')}
# The proxy in front tries again at once; a delay here would only make its users wait
auth_failure_delay = 0

mail_location = maildir:~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
mail_plugins = quota
lmtp_proxy = yes
!include doveadm-password.conf.ext
service imap-login {
  service_count = 0
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
  inet_listener {
    port = 24245
  }
}
namespace inbox {
  inbox = yes
  separator = /
}
# First the fence, then the operator's own passwords
passdb {
  driver = sql
  args = /etc/dovecot/routes-sql.conf.ext
  result_failure = return-fail
  result_internalfail = return-fail
}
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
userdb {
  driver = sql
  args = /etc/dovecot/routes-sql.conf.ext
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

function edge(layout: Layout): string {
  return `${common(layout, 'imap sieve')}
# Nobody's mailbox is here
mail_location = maildir:~/Maildir
mail_uid = 5000
mail_gid = 5000
first_valid_uid = 5000
login_proxy_timeout = 30 secs
# While a mailbox changes hosts its new host refuses for a moment: the login waits instead of failing
login_proxy_max_reconnects = 20
service imap-login {
  service_count = 0
  process_min_avail = 1
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 0
  }
}
passdb {
  driver = sql
  args = /etc/dovecot/routes-sql.conf.ext
}
userdb {
  driver = static
  args = uid=5000 gid=5000 home=/var/vmail/%d/%n
}
!include_try local.conf
`;
}

function sql(path: string, queries: string): HostFile {
  return {
    ...file('/etc/dovecot/routes-sql.conf.ext', `driver = sqlite\nconnect = ${path}\n${queries}`),
    mode: 0o640,
    group: 'dovecot',
  };
}

/** Configuration of Dovecot 2.3 (Debian 12). @param doveadmPassword what backends show each other for a copy over TCP. */
export function dovecot23Files(layout: Layout, spec: HostSpec, doveadmPassword: string): HostFile[] {
  if (spec.role === 'edge') {
    const queries = `password_query = ${edgePassdb(WORDS, {imap: 143, sieve: 4190})}\n`;
    return [file('/etc/dovecot/dovecot.conf', edge(layout)), sql(ROUTES_DB, queries)];
  }
  return [
    file('/etc/dovecot/dovecot.conf', backend(layout)),
    secret('/etc/dovecot/doveadm-password.conf.ext', `doveadm_password = ${doveadmPassword}\n`),
    sql(
      ROUTES_DB_SINCE_BOOT,
      `password_query = ${backendPassdb(WORDS, 24)}
user_query = ${backendUserdb(WORDS)}
iterate_query = ${BACKEND_ITERATE}
`,
    ),
  ];
}
