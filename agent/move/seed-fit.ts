import type {SeedFolder, SeedHello} from '../../wire/seed.ts';

/** What decides whether message files of one host can be read on another. */
export type MailDialect = Pick<SeedHello, 'dovecot' | 'transforms'>;

/** Plugins through which message files are not the messages, by both releases' names. */
const TRANSFORMS: readonly [RegExp, string][] = [
  [/\b(?:zlib|mail_compress)\b/, 'compress'],
  [/\bmail_crypt\b/, 'crypt'],
  [/\bmail_filter\b/, 'filter'],
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

/** @returns null when what one Dovecot wrote as files the other can read, else the reason why dsync must do it all. */
export function whyUnfit(source: MailDialect, target: MailDialect): string | null {
  const [from, to] = [source.transforms.join(', '), target.transforms.join(', ')];
  if (from !== to) return `message files are changed by ${from || 'nothing'} on the source, by ${to || 'nothing'} on the target`;
  // Keys and programs are a host's own; compression is read by what wrote it.
  if (/crypt|filter/.test(from)) return `message files are changed by ${from}`;
  if (from !== '' && source.dovecot !== target.dovecot) return `message files are changed by ${from}, and the releases differ`;
  return null;
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
