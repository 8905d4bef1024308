import {DatabaseSync} from 'node:sqlite';
import {ROUTES_DB} from '../wire/route-queries.ts';
import {queuedMail} from './audit.io.ts';
import type {Farm} from './farm.io.ts';
import {answers} from './machine/boot.io.ts';
import {isAlive, readState} from './machine/state.io.ts';
import {hostPaths} from './paths.ts';
import {tableText} from './table.ts';

/** The farm as it is now, for people. */
export async function statusText(farm: Farm): Promise<string> {
  const {paths, layout} = farm;
  const state = await readState(paths);
  const queues = await queuedMail(farm);
  const rows = await Promise.all(
    layout.hosts.map(async spec => {
      const machine = state.machines[spec.name];
      const isUp = machine !== undefined && isAlive(machine.init);
      const installed = state.installed[spec.name];
      const port = spec.role === 'control' ? 4_222 : 25;
      const word = isUp ? ((await answers(spec.address, port)) ? 'up' : 'no answer') : installed === undefined ? 'not installed' : 'off';
      return [
        spec.name,
        spec.role,
        word,
        spec.address,
        installed?.release ?? spec.release,
        machine === undefined ? '-' : machine.bootMs,
        queues[spec.name] ?? '-',
        isUp && spec.role === 'backend' ? await usersHere(farm, spec.name) : '-',
        Object.entries(spec.labels)
          .map(([name, value]) => `${name}=${value}`)
          .join(' '),
        Object.entries(state.faults[spec.name] ?? {})
          .map(([name, value]) => `${name} ${value}`.trim())
          .join(', '),
      ];
    }),
  );
  const helpers = Object.entries(state.helpers).map(([name, mark]) => `${name}: ${isAlive(mark) ? `runs, pid ${mark.pid}` : 'has ended'}`);
  const software = `software: ${state.software ?? 'none (routes are fixed)'}`;
  const head = ['host', 'role', 'state', 'address', 'release', 'boot ms', 'queued', 'users', 'labels', 'faults'];
  return `${tableText(head, rows)}${[software, ...helpers].join('\n')}\n`;
}

/** Customers whose route names the host, by its own table; `?` when the table cannot be read. */
async function usersHere({paths, layout}: Farm, host: string): Promise<number | string> {
  try {
    const db = new DatabaseSync(`${hostPaths(paths, host).root}${ROUTES_DB}`, {readOnly: true});
    const row = db.prepare('SELECT count(*) AS users FROM routes WHERE host = ? AND user LIKE ?').get(host, `%@${layout.domain}`);
    db.close();
    return Number(row?.users);
  } catch {
    return `? (${ROUTES_DB})`;
  }
}
