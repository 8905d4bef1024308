import {existsSync} from 'node:fs';
import {resolve} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import type {SeedFormat} from '../../wire/seed.ts';
import {must} from './doveadm-run.io.ts';
import {DBOX_INBOX, formatOf, type MailDialect, readDialect, readDriver} from './seed-fit.ts';
import {parseTab} from './tab.ts';
import {output, type RunAs} from './tool.io.ts';

/** Where and as whom a user's mail lies on this host, as Dovecot says. */
export interface MailPlace {
  home: string;
  /** Directory of the INBOX. */
  inbox: string;
  /** null: none that goes as files. */
  format: SeedFormat | null;
  /** What the files of a seed lie below. */
  root: string;
  owner: NonNullable<RunAs>;
  dialect: MailDialect;
}

/**
 * Asks Dovecot; makes nothing.
 * @param store nothing outside it is touched. @throws MailherdError COMMAND_FAILED
 */
export async function mailPlace(user: string, store: string): Promise<MailPlace> {
  const [fields, path, doveconf] = await Promise.all([
    must(['-f', 'tab', 'user', user]),
    must(['mailbox', 'path', '-u', user, 'INBOX']),
    output(['doveconf', '-n']),
  ]);
  const inbox = resolve(path.trim());
  const rows = parseTab(fields);
  const field = (name: string): string => rows.find(row => row.field === name)?.value ?? '';
  const driver = field('mail_driver') || field('mail').split(':')[0] || readDriver(doveconf);
  const format = formatOf(inbox, driver);
  const place = {
    home: resolve(field('home')),
    inbox,
    format,
    root: format === 'maildir' ? inbox : inbox.replace(DBOX_INBOX, ''),
    owner: {uid: Number(field('uid')), gid: Number(field('gid'))},
    dialect: dialectIn(doveconf),
  };
  const {home} = place;
  if (!home.startsWith(`${resolve(store)}/`)) throw new MailherdError('COMMAND_FAILED', {user, home, reason: `outside ${store}`});
  return place;
}

/** How this host's Dovecot writes message files. @throws MailherdError COMMAND_FAILED */
function dialectIn(doveconf: string): MailDialect {
  const dialect = readDialect(doveconf);
  if (dialect === null) throw new MailherdError('COMMAND_FAILED', {command: 'doveconf -n', reason: 'its first line names no release'});
  return dialect;
}

/** Everything that was written to the file systems of home and mailbox is on disk. @throws MailherdError COMMAND_FAILED */
export async function syncPlace({home, inbox}: MailPlace): Promise<void> {
  await output(['sync', '--file-system', home, ...(existsSync(inbox) ? [inbox] : [])]);
}
