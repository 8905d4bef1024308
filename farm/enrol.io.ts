import {readFile} from 'node:fs/promises';
import {DatabaseSync} from 'node:sqlite';
import Type from 'typebox';
import {parse as parseYaml} from 'yaml';
import {MailherdError} from '../base/errors.ts';
import {fewAtOnce} from '../base/few-at-once.ts';
import {ErrorView, type NewHost, type NewUser} from '../wire/api.ts';
import {fits, parse} from '../wire/codec.ts';
import {ROUTES_DB} from '../wire/route-queries.ts';
import type {Farm} from './farm.io.ts';
import {type HostSpec, users} from './layout.ts';
import {hostPaths} from './paths.ts';
import {initDirectory} from './secrets.io.ts';

const Access = Type.Object({api: Type.String(), token: Type.String()});
type Access = Type.Static<typeof Access>;

const API_TIMEOUT_MS = 60_000;
const ROUTES_TIMEOUT_MS = 30_000;
const TOGETHER = 8;

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** How an operator reaches the coordinator's API from this machine. @throws when the farm came up without the project's package. */
export async function apiAccess({paths}: Farm): Promise<Access> {
  const file = `${initDirectory(paths)}/cli.yaml`;
  return parse(Access, parseYaml(await readFile(file, 'utf8')), file);
}

/** @throws MailherdError API_FAILED with what the coordinator said, unless that is one of `fine`. */
async function post(access: Access, path: string, body: object, fine: readonly string[]): Promise<void> {
  const response = await fetch(`${access.api}${path}`, {
    method: 'POST',
    headers: {authorization: `Bearer ${access.token}`, 'content-type': 'application/json'},
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  if (response.ok) {
    await response.body?.cancel();
    return;
  }
  const answer: unknown = await response.json().catch(() => null);
  if (fits(ErrorView, answer) && fine.includes(answer.error.code)) return;
  throw new MailherdError('API_FAILED', {path, status: response.status, answer});
}

/** Waits until a coordinator leads and answers. @throws MailherdError API_FAILED after a minute. */
async function waitForApi(access: Access): Promise<void> {
  const endMs = performance.now() + API_TIMEOUT_MS;
  for (let reason = ''; ; ) {
    try {
      const response = await fetch(`${access.api}/v1/farm`, {
        headers: {authorization: `Bearer ${access.token}`},
        signal: AbortSignal.timeout(2_000),
      });
      reason = `${response.status} ${(await response.text()).slice(0, 200)}`;
      if (response.ok) return;
    } catch (error) {
      reason = String((error as Error).cause ?? error);
    }
    if (performance.now() > endMs) throw new MailherdError('API_FAILED', {path: '/v1/farm', reason});
    await sleep(250);
  }
}

/** Tells the coordinator of one host, as an operator does when a machine has come. Fine when it knows it already. */
export async function enrolHost(farm: Farm, spec: HostSpec): Promise<void> {
  const {name, role, address} = spec;
  await post(await apiAccess(farm), '/v1/hosts', {host: name, role, address} satisfies NewHost, ['HOST_EXISTS']);
}

/**
 * Tells the coordinator of every mail host but spares, and of every customer and where the mailbox is, and waits until all route
 * tables have them: from then on mail flows.
 * @returns customers enrolled. @throws MailherdError API_FAILED, ROUTE_LAGS.
 */
export async function enrolAll(farm: Farm): Promise<number> {
  const {layout} = farm;
  const access = await apiAccess(farm);
  await waitForApi(access);
  const hosts = layout.hosts.filter(spec => spec.role !== 'control' && !spec.isSpare);
  for (const spec of hosts) await enrolHost(farm, spec);
  const everybody = users(layout);
  await fewAtOnce(everybody, TOGETHER, ({user, host}) => post(access, '/v1/users', {user, host} satisfies NewUser, ['USER_EXISTS']));
  for (const {name} of hosts) await waitForRoutes(farm, name, everybody.length);
  return everybody.length;
}

async function waitForRoutes({paths, layout}: Farm, host: string, wanted: number): Promise<void> {
  const endMs = performance.now() + ROUTES_TIMEOUT_MS;
  for (;;) {
    const known = routesKnown(`${hostPaths(paths, host).root}${ROUTES_DB}`, layout.domain);
    if (known !== null && known >= wanted) return;
    if (performance.now() > endMs) throw new MailherdError('ROUTE_LAGS', {host, known, wanted});
    await sleep(100);
  }
}

/** Customers in a route table; null when it cannot be read yet. */
function routesKnown(path: string, domain: string): number | null {
  try {
    const db = new DatabaseSync(path, {readOnly: true});
    const row = db.prepare('SELECT count(*) AS known FROM routes WHERE user LIKE ?').get(`%@${domain}`);
    db.close();
    return Number(row?.known);
  } catch {
    return null; // not made yet
  }
}
