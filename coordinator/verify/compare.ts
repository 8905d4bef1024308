import {count} from '../../base/counts.ts';
import type {FolderManifest, FolderState, Manifest} from '../../wire/manifest.ts';

/** One thing that is not the same on both ends; `message` is a message's line (wire/manifest.ts), null where it is missing. */
export interface Difference {
  what: string;
  folder: string | null;
  source: unknown;
  target: unknown;
}

/**
 * Everything that must survive a move, compared. HIGHESTMODSEQ may differ but must not be lower on the target, or clients with
 * QRESYNC (RFC 7162) would miss changes.
 * @returns [] when the target may become the mailbox.
 */
export function compareManifests(source: Manifest, target: Manifest): Difference[] {
  const differences: Difference[] = [];
  const targetFolders = new Map(target.folders.map(folder => [folder.name, folder]));
  for (const folder of source.folders) {
    const other = targetFolders.get(folder.name);
    targetFolders.delete(folder.name);
    if (other === undefined) differences.push({what: 'folder', folder: folder.name, source: 'there', target: 'missing'});
    else differences.push(...compareFolder(folder, other));
  }
  for (const name of targetFolders.keys()) differences.push({what: 'folder', folder: name, source: 'missing', target: 'there'});
  differences.push(...compareLists('subscriptions', null, source.subscriptions, target.subscriptions));
  differences.push(...compareLists('sieve', null, sieveLines(source), sieveLines(target)));
  return differences;
}

/** Of lists that may have thousands of items a difference tells so many that only one end has: it is stored with the move. */
const ITEMS_TOLD_MAX = 20;

/** Lists as bags: in any order, but each item as often. */
function compareLists(what: string, folder: string | null, source: readonly string[], target: readonly string[]): Difference[] {
  const surplus = (of: readonly string[], over: readonly string[]): string[] => {
    const left = new Map<string, number>();
    for (const item of over) count(left, item);
    return of.filter(item => {
      const times = left.get(item) ?? 0;
      left.set(item, times - 1);
      return times <= 0;
    });
  };
  const [ours, theirs] = [surplus(source, target), surplus(target, source)];
  if (ours.length + theirs.length === 0) return [];
  return [{what, folder, source: ours.slice(0, ITEMS_TOLD_MAX), target: theirs.slice(0, ITEMS_TOLD_MAX)}];
}

/**
 * Whether a mailbox can be what became of a copy: while it is used, folders and messages come and go, but UIDs are never given twice
 * (RFC 3501, 2.3.1.1), and INBOX is never removed. HIGHESTMODSEQ tells nothing here: reading alone may raise that of the copy.
 * @returns [] when nothing speaks against it.
 */
export function lostSince(copy: Manifest, mailbox: Manifest): Difference[] {
  const now = new Map(mailbox.folders.map(folder => [folder.guid, folder]));
  return copy.folders.flatMap(folder => {
    const {name, guid} = folder;
    const other = now.get(guid);
    if (other === undefined) return name === 'INBOX' ? [{what: 'folder', folder: name, source: guid, target: 'missing'}] : [];
    const differ = (what: 'uidValidity' | 'uidNext'): Difference[] => [{what, folder: name, source: folder[what], target: other[what]}];
    if (other.uidValidity !== folder.uidValidity) return differ('uidValidity');
    return other.uidNext < folder.uidNext ? differ('uidNext') : [];
  });
}

function compareFolder(source: FolderManifest, target: FolderManifest): Difference[] {
  const differences: Difference[] = [];
  const differ = (what: string, ours: unknown, theirs: unknown): void => {
    differences.push({what, folder: source.name, source: ours, target: theirs});
  };
  if (source.guid !== target.guid) differ('guid', source.guid, target.guid);
  if (source.uidValidity !== target.uidValidity) differ('uidValidity', source.uidValidity, target.uidValidity);
  if (source.uidNext !== target.uidNext) differ('uidNext', source.uidNext, target.uidNext);
  if (source.messages !== target.messages) differ('messages', source.messages, target.messages);
  if (source.digest !== target.digest) differ('digest', source.digest, target.digest);
  if (source.texts === null || source.texts !== target.texts) differ('texts', source.texts, target.texts);
  differences.push(...compareLists('acl', source.name, source.acl, target.acl));
  if (target.highestModseq < source.highestModseq) differ('highestModseq', source.highestModseq, target.highestModseq);
  return differences;
}

/** Messages of one folder that are not the same, by UID. @param source, @param target lines that begin with the UID. */
export function compareLines(folder: string, source: readonly string[], target: readonly string[]): Difference[] {
  const byUid = (lines: readonly string[]): Map<string, string> => new Map(lines.map(line => [line.slice(0, line.indexOf(' ')), line]));
  const ours = byUid(source);
  const theirs = byUid(target);
  const uids = new Set([...ours.keys(), ...theirs.keys()]);
  return [...uids]
    .filter(uid => ours.get(uid) !== theirs.get(uid))
    .map(uid => ({what: 'message', folder, source: ours.get(uid) ?? null, target: theirs.get(uid) ?? null}));
}

function sieveLines(manifest: Manifest): string[] {
  return manifest.sieve.map(script => `${script.name} ${script.digest} ${script.active ? 'active' : ''}`).sort();
}

/**
 * A text that is equal for two manifests exactly when nothing of the user's changed between them; the retained copy must still
 * have it when it is purged. HIGHESTMODSEQ is left out: reading may raise it; so are texts, which never change under their UID.
 */
export function canonicalManifest(manifest: Manifest): string {
  const folders = manifest.folders
    .map(({name, guid, uidValidity, uidNext, messages, digest, acl}) =>
      [name, guid, uidValidity, uidNext, messages, digest, ...acl].join('\t'),
    )
    .sort();
  return [...folders, ...manifest.subscriptions.map(name => `subscribed\t${name}`).sort(), ...sieveLines(manifest)].join('\n');
}

/** Whether every folder is as its manifest found it. */
export function sameFolders(now: readonly FolderState[], then: readonly FolderManifest[]): boolean {
  const lines = (folders: readonly FolderState[]): string =>
    folders
      .map(({name, messages, uidNext, highestModseq}) => [name, messages, uidNext, highestModseq].join('\t'))
      .sort()
      .join('\n');
  return lines(now) === lines(then);
}

export function messageCount(manifest: Manifest): number {
  return manifest.folders.reduce((sum, folder) => sum + folder.messages, 0);
}
