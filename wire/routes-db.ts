/**
 * `routes.db`, the SQLite file that Postfix and Dovecot of a host read through their own drivers. The agent alone writes it:
 * WAL, short transactions, in place, never by rename (readers keep the old inode). Directory 2770, owner Postfix, group Dovecot, of which the
 * agent's user is a member; files 0666, since each of the three may be the one that makes -wal and -shm.
 *
 * After a boot a host may find a disk whose routes are long past: it serves nobody until it is current, or until `fenced_until`,
 * because mail must flow without NATS too.
 *
 * Beside it mail alone can be put off for a user (`deferrals`), while he works on.
 *
 * A hold, a deferral and a relief of the queue end inside the query (`held_until` against SQLite's own clock), so they end when agent,
 * coordinator and NATS are dead.
 */
export const ROUTES_DB_SCHEMA = `
CREATE TABLE IF NOT EXISTS self (name TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT 0, fenced_until REAL NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS hosts (name TEXT PRIMARY KEY, address TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS routes (
  user TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  generation INTEGER NOT NULL,
  held_until REAL NOT NULL DEFAULT 0,
  held_target TEXT,
  hold_port INTEGER
) WITHOUT ROWID;
-- At most one row: this host's queue is being relieved; next_hop takes what goes out of the farm, '' = it goes as ever.
CREATE TABLE IF NOT EXISTS relief (next_hop TEXT NOT NULL, since REAL NOT NULL, until REAL NOT NULL, by TEXT NOT NULL);
CREATE VIEW IF NOT EXISTS relief_now AS SELECT next_hop FROM relief WHERE until > (julianday('now') - 2440587.5) * 86400.0;
-- A delivery that began meanwhile may be refused later: no time limit of Postfix's client is longer than ten minutes (postconf(5)).
CREATE VIEW IF NOT EXISTS relief_lately AS SELECT next_hop FROM relief WHERE until + 900 > (julianday('now') - 2440587.5) * 86400.0;
CREATE TABLE IF NOT EXISTS deferrals (user TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS deferred AS SELECT user FROM deferrals WHERE until > (julianday('now') - 2440587.5) * 86400.0;
-- For a backend. mine = 1: this host may accept logins, mail and changes for the user. Everything else is the fence.
CREATE VIEW IF NOT EXISTS backend AS
  SELECT r.user, h.address,
         r.host = (SELECT name FROM self)
           AND max(r.held_until, (SELECT fenced_until FROM self)) <= (julianday('now') - 2440587.5) * 86400.0 AS mine,
         r.host = (SELECT name FROM self) AS here
  FROM routes r LEFT JOIN hosts h ON h.name = r.host;
-- For an edge. address: where to send the user; while held that is already the target, which refuses until the flip.
-- hold_port: where on the edge itself IMAP logins wait meanwhile (then they need not be refused); NULL = they don't.
CREATE VIEW IF NOT EXISTS edge AS
  SELECT r.user, h.address,
    CASE WHEN r.held_until > (julianday('now') - 2440587.5) * 86400.0 THEN r.hold_port END AS hold_port
  FROM routes r
  LEFT JOIN hosts h ON h.name = CASE
    WHEN r.held_target IS NOT NULL AND r.held_until > (julianday('now') - 2440587.5) * 86400.0 THEN r.held_target
    ELSE r.host END;
`;
