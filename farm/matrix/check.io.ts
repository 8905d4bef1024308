import {existsSync} from 'node:fs';
import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import {UserView} from '../../wire/api.ts';
import {type ApiAccess, call} from '../api.io.ts';
import {queuedMail} from '../audit.io.ts';
import type {Farm} from '../farm.io.ts';
import type {UserSpec} from '../layout.ts';
import {imapClient} from '../mail/imap.io.ts';
import {type Finding, type Judgement, judge} from '../mail/judge.ts';
import {readLedger} from '../mail/ledger.io.ts';
import {readMailboxes} from '../mail/read-mailbox.io.ts';
import {hostPaths} from '../paths.ts';

const LOOK_MS = 500;

/** Looks until there is nothing to complain of, at most so long. @returns the last complaints. */
export async function untilNone(timeoutMs: Millis, look: () => Promise<string[]>): Promise<string[]> {
  const endMs = systemClock.monotonic() + timeoutMs;
  for (;;) {
    const complaints = await look().catch((error: unknown) => [error instanceof Error ? error.message : String(error)]);
    if (complaints.length === 0 || systemClock.monotonic() > endMs) return complaints;
    await systemClock.sleep(LOOK_MS);
  }
}

/** Exactly the host of the route serves the user: the edge and it let him in, every other backend refuses for now. */
export async function servedByOne({layout}: Farm, access: ApiAccess, user: UserSpec): Promise<string[]> {
  const view = await call(access, 'GET', `/v1/users/${encodeURIComponent(user.user)}`, UserView);
  const complaints: string[] = [];
  if (view.held || view.moveId !== null) complaints.push('the route is still locked');
  const asked = layout.hosts
    .filter(({role}) => role !== 'control')
    .map(async spec => {
      const answer = await logInAt(layout, spec.address, user);
      const isServing = spec.role === 'edge' || spec.name === view.host;
      if (isServing && answer !== 'ok') complaints.push(`${spec.name} does not serve the user: ${answer}`);
      if (!isServing && !answer.startsWith('UNAVAILABLE')) complaints.push(`${spec.name} beside ${view.host}: ${answer}`);
    });
  await Promise.all(asked);
  return complaints;
}

/** @returns `ok`, or what the host says instead. */
export async function logInAt(layout: Farm['layout'], address: string, user: UserSpec): Promise<string> {
  const at = layout.hosts.filter(spec => spec.address === address).map(spec => ({...spec, role: 'edge' as const}));
  const client = imapClient({...layout, hosts: at}, user, false);
  try {
    await client.connect();
    await client.mailboxOpen('INBOX', {readOnly: true});
    await client.logout();
    return 'ok';
  } catch (error) {
    const {serverResponseCode, responseText, message} = error as {serverResponseCode?: string; responseText?: string; message: string};
    return [serverResponseCode, responseText ?? message].filter(part => part !== undefined).join(' ');
  } finally {
    client.close();
  }
}

/** Hosts on whose disk a copy of the mailbox lies. */
export function copiesOf({paths, layout}: Farm, {user}: UserSpec): string[] {
  const at = user.lastIndexOf('@');
  const home = `${user.slice(at + 1)}/${user.slice(0, at)}`;
  return layout.hosts
    .filter(({role, name}) => role === 'backend' && existsSync(`${hostPaths(paths, name).store}/${home}`))
    .map(({name}) => name);
}

export async function queuesLeft(farm: Farm): Promise<string[]> {
  const counts = Object.entries(await queuedMail(farm)).filter(([, count]) => count !== 0);
  return counts.map(([host, count]) => `${count} mails wait at ${host}`);
}

export interface Judged extends Judgement {
  bounced: number;
  /** Mails that are there twice because Postfix had to hand them over again; not among `duplicated`. */
  resent: number;
}

/**
 * The ledger of one user held against the mailbox as it is now.
 * @param resent messages that may be there twice, move or no move; which of the two was meant by a UID or a flag cannot be told.
 * @param before those among them that were there twice before.
 */
export async function judgeUser(
  {layout}: Farm,
  user: UserSpec,
  ledgerPath: string,
  {resent, before}: {resent: ReadonlySet<string>; before: ReadonlySet<string>},
): Promise<Judged> {
  const entries = readLedger(ledgerPath);
  const judgement = judge(entries, await readMailboxes(layout, [user]));
  const twice = new Set(judgement.duplicated.map(({messageId}) => messageId));
  const excused = ({messageId}: Finding): boolean => twice.has(messageId) && (resent.has(messageId) || before.has(messageId));
  const without = (found: readonly Finding[]): Finding[] => found.filter(each => !excused(each));
  return {
    ...judgement,
    duplicated: without(judgement.duplicated),
    uidsChanged: without(judgement.uidsChanged),
    wrongFlags: without(judgement.wrongFlags),
    resent: judgement.duplicated.filter(each => excused(each) && !before.has(each.messageId)).length,
    bounced: entries.filter(({kind}) => kind === 'bounced').length,
  };
}

export function complaintsOf(judged: Judged): string[] {
  const found = (['lost', 'duplicated', 'uidsChanged', 'wrongFlags'] as const).flatMap(what => {
    const [first] = judged[what];
    return first === undefined ? [] : [`${what} ${judged[what].length}, e.g. ${first.messageId}: ${first.detail}`];
  });
  return judged.bounced === 0 ? found : [...found, `bounced ${judged.bounced}`];
}
