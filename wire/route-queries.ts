/**
 * How Postfix and Dovecot ask routes.db. Dovecot 2.3 and 2.4 name their variables differently, so both are arguments;
 * the drivers escape what they put in.
 */
export interface QueryWords {
  /** The login name, e.g. `%u`. */
  user: string;
  /** imap, lmtp, sieve, doveadm ..., e.g. `%s`. */
  protocol: string;
}

/** Where mailboxes lie and whose they are. */
export interface Mailboxes {
  /** Path of the user's home, e.g. `/var/vmail/%d/%n`. */
  home: string;
  uid: number;
  gid: number;
}

/** Ports of the farm's hosts; mail is SMTP's 25. */
export const LMTP_PORT = 24;
export const DOVEADM_PORT = 24_245;

export const ROUTES_DB = '/var/lib/mailherd/routes/routes.db';
/** The same by the door that the agent opens: not there after a boot until the agent has seen to it that no old route is served. */
export const ROUTES_DB_SINCE_BOOT = '/run/mailherd/routes/routes.db';

/**
 * SQLite has no way to fail on purpose but an overflow; Dovecot takes the failed query for a temporary failure, so that a proxy
 * tries again, where an empty answer would be "wrong password" and make mail programs ask the user for one.
 */
const FAIL = 'abs(-9223372036854775808)';

/**
 * Passdb of a backend: the fence, ahead of the operator's own password file. Only `mine = 1` lets a login go on to the password
 * (noauthenticate = this passdb checks none). A name that routes.db does not know fails as temporarily as a held one: a host
 * whose table is still empty must not turn anybody away for good. For LMTP it says where the user lives instead.
 */
export function backendPassdb({user, protocol}: QueryWords): string {
  const isLmtp = `'${protocol}' = 'lmtp'`;
  return `SELECT '${user}' AS user, \
CASE WHEN mine = 1 OR (${isLmtp} AND address IS NOT NULL) THEN NULL ELSE ${FAIL} END AS password, \
CASE WHEN ${isLmtp} THEN NULL ELSE 'y' END AS noauthenticate, \
CASE WHEN ${isLmtp} THEN 'y' END AS nopassword, \
CASE WHEN ${isLmtp} THEN 'y' END AS proxy_maybe, \
CASE WHEN ${isLmtp} THEN address END AS host, \
CASE WHEN ${isLmtp} THEN ${LMTP_PORT} END AS port \
FROM (SELECT 1) LEFT JOIN backend ON backend.user = '${user}'`;
}

/**
 * Userdb of a backend: the fence once more, at the moment the mailbox is opened. Mail for a held user is deferred, never bounced; so is mail
 * alone for one whose deliveries are put off. doveadm is let through: the moving copy is filled and read while the fence is up.
 * @param mailboxes null: a userdb of the operator's own is asked next and knows them. `tempfail` is not for that: Dovecot 2.3.19 dies
 * of it when another userdb follows. A failing query is as temporary, and logged.
 */
export function backendUserdb({user, protocol}: QueryWords, mailboxes: Mailboxes | null): string {
  const refused = `'${protocol}' IN ('imap', 'lmtp', 'sieve', 'pop3', 'submission', 'lda') AND ifnull(mine, 0) = 0 \
OR '${protocol}' = 'lmtp' AND EXISTS (SELECT 1 FROM deferred WHERE deferred.user = '${user}')`;
  const fields =
    mailboxes === null
      ? `CASE WHEN ${refused} THEN ${FAIL} END AS fence`
      : `${mailboxes.uid} AS uid, ${mailboxes.gid} AS gid, '${mailboxes.home}' AS home, CASE WHEN ${refused} THEN 'y' END AS tempfail`;
  return `SELECT ${fields} FROM (SELECT 1) LEFT JOIN backend ON backend.user = '${user}'`;
}

/** On an edge that has just booted, until its routes are current: a user who is new since must not be told that he is nobody. */
function unknownWhileFenced(user: string): string {
  return `FROM self WHERE fenced_until > (julianday('now') - 2440587.5) * 86400.0 AND NOT EXISTS (SELECT 1 FROM routes WHERE user = '${user}')`;
}
/** Not the constant alone: SQLite works constants out beforehand, whether there is a row or not. */
const FAIL_WHILE_FENCED = `CASE WHEN fenced_until > 0 THEN ${FAIL} END`;

/** Users of this host, for `doveadm -A`. */
export const BACKEND_ITERATE = 'SELECT user FROM routes WHERE host = (SELECT name FROM self)';

/** Where backends answer what is no IMAP. */
const PORTS = "WHEN 'sieve' THEN 4190 WHEN 'pop3' THEN 110 WHEN 'submission' THEN 587";

/**
 * Passdb of an edge: where to send the login; the password goes along and is checked there. While the user is held an IMAP login
 * waits at a port of the edge's agent.
 */
export function edgePassdb({user, protocol}: QueryWords): string {
  const waits = `'${protocol}' = 'imap' AND hold_port IS NOT NULL`;
  return `SELECT user, CASE WHEN address IS NULL THEN ${FAIL} END AS password, 'y' AS nopassword, 'y' AS proxy, \
CASE WHEN ${waits} THEN '127.0.0.1' ELSE address END AS host, \
CASE WHEN ${waits} THEN hold_port ELSE CASE '${protocol}' ${PORTS} ELSE 143 END END AS port \
FROM edge WHERE user = '${user}' UNION ALL SELECT '${user}', ${FAIL_WHILE_FENCED}, 'y', 'y', NULL, NULL ${unknownWhileFenced(user)}`;
}

/**
 * Postfix maps of a backend whose queue is being relieved; without a relief none of them says anything.
 * Mail for a user who lives elsewhere goes to that host's LMTP, past the own one and its queue; the own users' mail waits for them.
 */
export const RELIEF_TRANSPORT = `SELECT 'lmtp:[' || address || ']:${LMTP_PORT}' FROM backend, relief_now WHERE user = '%s' AND here = 0 AND address IS NOT NULL`;
/** Asked for every sender, and only for mail that would leave by the default transport: the relay. */
export const RELIEF_RELAY = "SELECT next_hop FROM relief_now WHERE next_hop <> '' AND '%s' <> ''";
/** What a next hop refuses for good meanwhile, or in a delivery that began meanwhile, is kept and tried again. */
export const RELIEF_STATUS = "SELECT '4' || substr('%s', 2) FROM relief_lately WHERE substr('%s', 1, 1) = '5'";

/** Postfix map of an edge: next hop of a recipient. */
export const EDGE_TRANSPORT = "SELECT 'smtp:[' || address || ']:25' FROM edge WHERE user = '%s' AND address IS NOT NULL";
/** Postfix map of an edge: does that recipient exist? */
export const EDGE_RECIPIENT = `SELECT 'OK' FROM edge WHERE user = '%s' UNION ALL SELECT ${FAIL_WHILE_FENCED} ${unknownWhileFenced('%s')}`;
