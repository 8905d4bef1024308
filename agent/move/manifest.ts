import type {FolderManifest} from '../../wire/manifest.ts';

/** Rows of `doveadm -f tab mailbox status`, `fetch` and `sieve list`, by column name. */
type Row = Record<string, string>;

export interface MessageLine {
  uid: number;
  line: string;
}

/**
 * One line a message that is equal on two hosts exactly when the message is: UID, GUID, size, INTERNALDATE, flags and keywords.
 * \Recent is a session's business (RFC 3501 2.3.2), not the mailbox's.
 */
export function messageLine(row: Row): string {
  const flags = (row.flags ?? '')
    .split(' ')
    .filter(flag => flag !== '' && flag !== '\\Recent')
    .sort();
  return [row.uid, row.guid, row['size.virtual'], row['date.received'], ...flags].join(' ');
}

/** Message lines by folder, in the order of their UIDs. */
export function linesByFolder(rows: Iterable<Row>): Map<string, MessageLine[]> {
  const folders = new Map<string, MessageLine[]>();
  for (const row of rows) {
    const name = row.mailbox ?? '';
    const lines = folders.get(name) ?? [];
    lines.push({uid: Number(row.uid), line: messageLine(row)});
    folders.set(name, lines);
  }
  for (const lines of folders.values()) lines.sort((a, b) => a.uid - b.uid);
  return folders;
}

/** @param statusRow a row of `mailbox status`. @param messages the folder's message lines, how many; @param digest of them. */
export function folderManifest(statusRow: Row, messages: number, digest: string): Omit<FolderManifest, 'texts' | 'acl'> {
  return {
    name: statusRow.mailbox ?? '',
    guid: statusRow.guid ?? '',
    uidValidity: Number(statusRow.uidvalidity),
    uidNext: Number(statusRow.uidnext),
    highestModseq: Number(statusRow.highestmodseq),
    messages,
    bytes: Number(statusRow.vsize),
    digest,
  };
}

/** Of a message that Dovecot could not read, as `doveadm fetch` of 2.3 and 2.4 says it. */
const UNREAD = /fetch\([\w.]+\) failed for box=(.*) uid=(\d+): (.*)/g;
const REASON_MAX = 500;

/** @param err what doveadm said on stderr. @returns the first message that it could not read, and how many it names; null where it is something else. */
export function unreadMessage(err: string): {folder: string; uid: number; reason: string; messages: number} | null {
  const found = [...err.matchAll(UNREAD)];
  const [, folder = '', uid, reason = ''] = found[0] ?? [];
  return found.length === 0 ? null : {folder, uid: Number(uid), reason: reason.slice(0, REASON_MAX), messages: found.length};
}
