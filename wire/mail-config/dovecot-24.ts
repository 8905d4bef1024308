import {
  BACKEND_ITERATE,
  backendPassdb,
  backendUserdb,
  DOVEADM_PORT,
  edgePassdb,
  LMTP_PORT,
  type Mailboxes,
  type QueryWords,
  ROUTES_DB,
  ROUTES_DB_SINCE_BOOT,
} from '../route-queries.ts';
import {type BackendSite, type ConfigFile, configFile, doveadmSecret, type MailSite} from './site.ts';

const WORDS: QueryWords = {user: '%{user}', protocol: '%{protocol}'};
const MAIN = '/etc/dovecot/mailherd.conf';

const COMMON = `# Every login asks the route table itself: an answer of before would let users in where their mailboxes no longer are
auth_cache_size = 0
# A restart of Dovecot ends no sessions
shutdown_clients = no
# Logins come in herds, after a move or an outage: one process for all of them, where one each would be a hundred at most
service imap-login {
  restart_request_count = unlimited
  process_min_avail = 1
}
# All logins come from a few edges, or a few proxies: no penalty by address
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`;

/** Where the table is, for one passdb or userdb: others may be SQL of another kind. */
const table = (path: string): string => `  driver = sql
  sql_driver = sqlite
  sqlite_path = ${path}`;

function backend({networks, mailboxes}: BackendSite): string {
  return `${COMMON}
# Edges say where a client really is, and bring its password in the clear; ssl = required would refuse that
login_trusted_networks = 127.0.0.0/8 ${networks.join(' ')}
# The proxy in front tries again at once; a delay here would only make its users wait
auth_failure_delay = 0
auth_internal_failure_delay = 0

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
  inet_listener tcp {
    port = ${DOVEADM_PORT}
  }
}
!include mailherd-doveadm.conf.ext

# The fence: whoever is not at home here for now is refused for now, whatever his password. Other passdbs come after it.
passdb mailherd {
${table(ROUTES_DB_SINCE_BOOT)}
  passdb_sql_query = ${backendPassdb(WORDS)}
  # No other passdb is asked where the fence holds, or cannot tell
  result_failure = return-fail
  result_internalfail = return-fail
}
# The fence once more, when the mailbox is opened
userdb mailherd {
${table(ROUTES_DB_SINCE_BOOT)}
  userdb_sql_query = ${backendUserdb(WORDS, mailboxes === null ? null : inWords(mailboxes))}
  userdb_sql_iterate_query = ${BACKEND_ITERATE}
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
passdb mailherd {
${table(ROUTES_DB)}
  passdb_sql_query = ${edgePassdb(WORDS)}
}
`;

/** A home is given in the words of 2.3. */
function inWords(mailboxes: Mailboxes): Mailboxes {
  const words: Record<string, string> = {'%u': '%{user}', '%n': '%{user | username}', '%d': '%{user | domain}'};
  return {...mailboxes, home: mailboxes.home.replaceAll(/%[und]/g, word => words[word] ?? word)};
}

/** What Dovecot 2.4 is told; dovecot.conf includes mailherd.conf ahead of every other passdb and userdb. */
export function dovecot24(site: MailSite): ConfigFile[] {
  if (site.role === 'edge') return [configFile(MAIN, EDGE)];
  return [configFile(MAIN, backend(site)), doveadmSecret(site)];
}
