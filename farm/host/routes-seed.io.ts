import {chmod} from 'node:fs/promises';
import {DatabaseSync} from 'node:sqlite';
import {ROUTES_DB} from '../../wire/route-queries.ts';
import {ROUTES_DB_SCHEMA} from '../../wire/routes-db.ts';
import {type Layout, probeUser, users} from '../layout.ts';
import {giveTo, readOwners} from './install.io.ts';

/**
 * Opens the route table of the host at `root`, made when absent, as the agent would: for a farm that runs without the
 * project's software. Keep it open while the host runs, close it in the end.
 */
export async function openRoutes(root: string, host: string): Promise<DatabaseSync> {
  const path = `${root}${ROUTES_DB}`;
  const db = new DatabaseSync(path, {timeout: 5_000});
  db.exec('PRAGMA journal_mode = WAL');
  const owners = await readOwners(root);
  await giveTo(owners, path, 'postfix', 'dovecot');
  await chmod(path, 0o666);
  db.exec(ROUTES_DB_SCHEMA);
  if (db.prepare('SELECT 1 FROM self').get() === undefined) db.prepare('INSERT INTO self (name) VALUES (?)').run(host);
  for (const suffix of ['-wal', '-shm']) {
    await giveTo(owners, `${path}${suffix}`, 'postfix', 'dovecot');
    await chmod(`${path}${suffix}`, 0o666);
  }
  return db;
}

/** Writes every host, every customer and, on a backend, the probe users that have a mailbox there into its route table. */
export async function seedRoutes(root: string, layout: Layout, host: string): Promise<void> {
  const db = await openRoutes(root, host);
  try {
    db.exec('BEGIN IMMEDIATE');
    const putHost = db.prepare('INSERT OR REPLACE INTO hosts (name, address) VALUES (?, ?)');
    for (const each of layout.hosts) putHost.run(each.name, each.address);
    const putRoute = db.prepare('INSERT OR REPLACE INTO routes (user, host, generation) VALUES (?, ?, 1)');
    for (const each of users(layout)) putRoute.run(each.user, each.host);
    const probes = layout.hosts.filter(each => each.name === host || each.role === 'edge');
    if (layout.hosts.some(each => each.name === host && each.role === 'backend'))
      for (const {name} of probes) putRoute.run(probeUser(name), host);
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}
