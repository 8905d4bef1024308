import {
  BACKEND_ITERATE,
  backendPassdb,
  backendUserdb,
  DOVEADM_PORT,
  edgePassdb,
  type Mailboxes,
  type QueryWords,
  ROUTES_DB,
  ROUTES_DB_SINCE_BOOT,
} from '../route-queries.ts';
import {common, EDGE_WAITS, FENCE, FENCE_HOLDS, LMTP, MAIN, OWN_USERDB} from './dovecot.ts';
import {type BackendSite, type ConfigFile, configFile, doveadmSecret, type MailSite} from './site.ts';

const WORDS: QueryWords = {user: '%{user}', protocol: '%{protocol}'};

const COMMON = common('restart_request_count = unlimited');

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

${LMTP}
# Backends copy mailboxes to each other this way
service doveadm {
  # A pass of a move finds its process there instead of waiting for its start
  process_min_avail = 1
  inet_listener tcp {
    port = ${DOVEADM_PORT}
  }
}
!include mailherd-doveadm.conf.ext

${FENCE}
passdb mailherd {
${table(ROUTES_DB_SINCE_BOOT)}
  passdb_sql_query = ${backendPassdb(WORDS)}
${FENCE_HOLDS}
}
# The fence once more, when the mailbox is opened
userdb mailherd {
${table(ROUTES_DB_SINCE_BOOT)}
  userdb_sql_query = ${backendUserdb(WORDS, mailboxes === null ? null : inWords(mailboxes))}
  userdb_sql_iterate_query = ${BACKEND_ITERATE}
${mailboxes === null ? OWN_USERDB : ''}}
`;
}

const EDGE = `${COMMON}
${EDGE_WAITS}
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
