import {
  BACKEND_ITERATE,
  backendPassdb,
  backendUserdb,
  DOVEADM_PORT,
  edgePassdb,
  type QueryWords,
  ROUTES_DB,
  ROUTES_DB_SINCE_BOOT,
} from '../route-queries.ts';
import {common, EDGE_WAITS, FENCE, FENCE_HOLDS, LMTP, MAIN, OWN_USERDB} from './dovecot.ts';
import {type BackendSite, type ConfigFile, configFile, doveadmSecret, type MailSite} from './site.ts';

const WORDS: QueryWords = {user: '%u', protocol: '%s'};
const QUERIES = '/etc/dovecot/mailherd-sql.conf.ext';

const COMMON = common('service_count = 0');

function backend({networks, mailboxes}: BackendSite): string {
  return `${COMMON}
# Edges say where a client really is, and bring its password in the clear
login_trusted_networks = 127.0.0.0/8 ${networks.join(' ')}
# The proxy in front tries again at once; a delay here would only make its users wait
auth_failure_delay = 0

${LMTP}
# Backends copy mailboxes to each other this way
service doveadm {
  # A pass of a move finds its process there instead of waiting for its start
  process_min_avail = 1
  inet_listener {
    port = ${DOVEADM_PORT}
  }
}
!include mailherd-doveadm.conf.ext

${FENCE}
passdb {
  driver = sql
  args = ${QUERIES}
${FENCE_HOLDS}
}
# The fence once more, when the mailbox is opened
userdb {
  driver = sql
  args = ${QUERIES}
${mailboxes === null ? OWN_USERDB : ''}}
`;
}

const EDGE = `${COMMON}
${EDGE_WAITS}
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
