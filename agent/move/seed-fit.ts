import type {SeedFolder, SeedFormat, SeedHello} from '../../wire/seed.ts';

/** What decides whether message files of one host can be read on another. */
export type MailDialect = Pick<SeedHello, 'dovecot' | 'transforms'>;

/** Plugins through which message files are not the messages, by both releases' names. */
const TRANSFORMS: readonly [RegExp, string][] = [
  [/\b(?:zlib|mail_compress)\b/, 'compress'],
  [/\bmail_crypt\b/, 'crypt'],
  [/\bmail_filter\b/, 'filter'],
  [/^\s*(?:mail_attachment_dir|mail_ext_attachment_path) = \S/m, 'attachments elsewhere'],
];

/**
 * Reads the output of `doveconf -n`, whose first line is `# 2.3.19.1 (hash): /etc/dovecot/dovecot.conf`. A plugin that is mentioned
 * anywhere counts: one that is loaded for a single protocol still writes messages.
 * @returns null when the release is not to be found.
 */
export function readDialect(doveconf: string): MailDialect | null {
  const dovecot = /^# (\d+\.\d+)[. ]/.exec(doveconf)?.[1];
  if (dovecot === undefined) return null;
  const settings = doveconf.replace(/^\s*#.*$/gm, '');
  return {dovecot, transforms: TRANSFORMS.filter(([plugin]) => plugin.test(settings)).map(([, name]) => name)};
}

/**
 * The format of a user's mailbox.
 * @param inbox directory of the INBOX. @param driver by the user database or the configuration, where either names one.
 * @returns null where it is not one that goes as files.
 */
export function formatOf(inbox: string, driver: string | undefined): SeedFormat | null {
  if (!inbox.endsWith(DBOX_INBOX)) return driver === undefined || driver === 'maildir' || driver === 'auto' ? 'maildir' : null;
  return driver === 'sdbox' || driver === 'mdbox' ? driver : null;
}

/** Where the INBOX of dbox lies below its root. */
export const DBOX_INBOX = '/mailboxes/INBOX/dbox-Mails';

/** The driver of all mailboxes by `doveconf -n`, where it names one: `mail_location = mdbox:~/mdbox` (2.3), `mail_driver = mdbox` (2.4). */
export function readDriver(doveconf: string): string | undefined {
  return /^mail_(?:location = (\w+):|driver = (\w+)$)/m
    .exec(doveconf)
    ?.slice(1)
    .find(each => each !== undefined);
}

/** @returns null when what one Dovecot wrote as files the other can read, else the reason why dsync must do it all. */
export function whyUnfit(format: SeedFormat, source: MailDialect, target: MailDialect): string | null {
  const [from, to] = [source.transforms.join(', '), target.transforms.join(', ')];
  if (from !== to) return `message files are changed by ${from || 'nothing'} on the source, by ${to || 'nothing'} on the target`;
  // Keys, programs and other directories are a host's own; compression and indexes are read by what wrote them.
  if (/crypt|filter|attachments/.test(from)) return `message files are changed by ${from}`;
  if (source.dovecot === target.dovecot) return null;
  if (format !== 'maildir') return `${format} has its flags in indexes, and the releases differ`;
  return from === '' ? null : `message files are changed by ${from}, and the releases differ`;
}

/**
 * Does the target's Dovecot find in an unpacked seed what the source sent?
 * @param found rows of `doveadm -f tab mailbox status "guid uidvalidity messages"`. @returns null when it does, else the first thing it does not.
 */
export function whyNotFound(sent: readonly SeedFolder[], found: readonly Readonly<Record<string, string>>[]): string | null {
  const byGuid = new Map(found.map(row => [row.guid, row]));
  for (const {guid, uidValidity, messages} of sent) {
    const row = byGuid.get(guid);
    if (row === undefined) return `no folder with the GUID ${guid}`;
    if (Number(row.uidvalidity) !== uidValidity) return `UIDVALIDITY ${row.uidvalidity} of ${row.mailbox} instead of ${uidValidity}`;
    if (Number(row.messages) !== messages) return `${row.messages} messages in ${row.mailbox} instead of ${messages}`;
  }
  return null;
}
