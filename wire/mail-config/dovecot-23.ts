import {
  BACKEND_ITERATE,
  backendPassdb,
  backendUserdb,
  DOVEADM_PORT,
  edgePassdb,
  LMTP_PORT,
  type QueryWords,
  ROUTES_DB,
  ROUTES_DB_SINCE_BOOT,
} from '../route-queries.ts';
import {type BackendSite, type ConfigFile, configFile, doveadmSecret, type MailSite} from './site.ts';

const WORDS: QueryWords = {user: '%u', protocol: '%s'};
const MAIN = '/etc/dovecot/mailherd.conf';
const QUERIES = '/etc/dovecot/mailherd-sql.conf.ext';

const COMMON = `# Every login asks the route table itself: an answer of before would let users in where their mailboxes no longer are
auth_cache_size = 0
# A restart of Dovecot ends no sessions
shutdown_clients = no
# Logins come in herds, after a move or an outage: one process for all of them, where one each would be a hundred at most
service imap-login {
  service_count = 0
  process_min_avail = 1
}
# All logins come from a few edges, or a few proxies: no penalty by address
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`;

function backend({networks, mailboxes}: BackendSite): string {
  return `${COMMON}
# Edges say where a client really is, and bring its password in the clear
login_trusted_networks = 127.0.0.0/8 ${networks.join(' ')}
# The proxy in front tries again at once; a delay here would only make its users wait
auth_failure_delay = 0

# Mail for a user who lives elsewhere goes on to the LMTP of that host
lmtp_proxy = yes
service lmtp {
  inet_listener lmtp {
    port = ${LMTP_PORT}
  }
}

# Backends copy mailboxes to each other this way
service doveadm {
  # A pass of a move finds its process there instead of waiting for its start
  process_min_avail = 1
  inet_listener {
    port = ${DOVEADM_PORT}
  }
}
!include mailherd-doveadm.conf.ext

# The fence: whoever is not at home here for now is refused for now, whatever his password. Other passdbs come after it.
passdb {
  driver = sql
  args = ${QUERIES}
  # No other passdb is asked where the fence holds, or cannot tell
  result_failure = return-fail
  result_internalfail = return-fail
}
# The fence once more, when the mailbox is opened
userdb {
  driver = sql
  args = ${QUERIES}
${mailboxes === null ? OWN_USERDB : ''}}
`;
}

const OWN_USERDB = `  # Yours comes after it and says the rest: home, uid, gid
  result_success = continue-ok
  result_failure = return-fail
  result_internalfail = return-fail
`;

const EDGE = `${COMMON}
# While a mailbox changes hosts its new host refuses for a moment: the login waits instead of failing
login_proxy_max_reconnects = 20
login_proxy_timeout = 30 secs

# Where each user's login goes; the backend there checks the password
passdb {
  driver = sql
  args = ${QUERIES}
}
`;

/** What Dovecot 2.3 is told; dovecot.conf includes mailherd.conf ahead of every other passdb and userdb. */
export function dovecot23(site: MailSite): ConfigFile[] {
  const sql = (path: string, queries: string): ConfigFile => configFile(QUERIES, `driver = sqlite\nconnect = ${path}\n${queries}`);
  if (site.role === 'edge') {
    return [configFile(MAIN, EDGE), sql(ROUTES_DB, `password_query = ${edgePassdb(WORDS)}\n`)];
  }
  const queries = `password_query = ${backendPassdb(WORDS)}
user_query = ${backendUserdb(WORDS, site.mailboxes)}
iterate_query = ${BACKEND_ITERATE}
`;
  return [configFile(MAIN, backend(site)), sql(ROUTES_DB_SINCE_BOOT, queries), doveadmSecret(site)];
}
