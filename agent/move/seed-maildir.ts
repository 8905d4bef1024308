import type {Bytes} from '../../base/units.ts';
import type {SeedFolder} from '../../wire/seed.ts';
import {fitsTar} from './seed-tar.ts';

/** All that a file may get meanwhile; keywords are not sent. */
const ALL_FLAGS = ':2,DFPRST';

/** Names in the two directories of a folder that hold messages, as they were at one moment. */
export interface FolderNames {
  cur: readonly string[];
  new: readonly string[];
}

/** A message by the uidlist. */
export interface SeedMessage {
  readonly uid: number;
  readonly line: string;
  readonly base: string;
  isSent: boolean;
}

interface Uidlist {
  guid: string;
  uidValidity: number;
  uidNext: number;
  entries: readonly SeedMessage[];
}

/**
 * Reads a dovecot-uidlist, version 3 (doc.dovecot.org, mailbox format Maildir): `3 V<uidvalidity> N<next uid> G<guid>`, then
 * `<uid> <extensions> :<file name>` a message. A last line without its end is still being written and left out.
 * @returns null for a version or a header that this does not know: the folder is then left to dsync.
 */
export function parseUidlist(text: string): Uidlist | null {
  const [header = '', ...lines] = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  const fields = /^3((?: [A-Z][^ ]*)+)$/.exec(header)?.[1]?.trim().split(' ') ?? [];
  const field = (letter: string): string => fields.find(each => each.startsWith(letter))?.slice(1) ?? '';
  const guid = field('G');
  const uidValidity = Number(field('V'));
  if (!/^[0-9a-f]{32}$/.test(guid) || !(uidValidity >= 1)) return null;
  const entries: SeedMessage[] = [];
  let last = 0;
  for (const line of lines) {
    if (line === '') continue;
    const match = /^(\d+) (?:[^:]* )?:(.+)$/.exec(line);
    const uid = Number(match?.[1]);
    if (match?.[2] === undefined || uid <= last) return null;
    entries.push({uid, line, base: baseOf(match[2]), isSent: false});
    last = uid;
  }
  return {guid, uidValidity, uidNext: Math.max(Number(field('N')) || 1, last + 1), entries};
}

/** A message's name without its flags: what stays the same when they change. */
function baseOf(name: string): string {
  const at = name.indexOf(':');
  return at === -1 ? name : name.slice(0, at);
}

/** Bytes of the message by its name; NaN when it does not say. */
function sizeIn(base: string): number {
  const at = base.indexOf(',S=');
  return at === -1 ? Number.NaN : Number.parseInt(base.slice(at + 3), 10);
}

/**
 * The seed of one folder: which of its files go, and what stands in the uidlist in the end. Only messages that have their UID go:
 * the target would give others a UID of its own. Of those only what Dovecot's index has too: a delivery writes the list first, seconds
 * before it where the disk is slow to confirm, and to dsync, which goes by the index, the target would be ahead of the source.
 * Files are renamed and removed meanwhile, so this is asked again until none is missing.
 */
export class FolderSeed {
  readonly directory: string;
  readonly #list: Uidlist;
  /** By name without flags. */
  readonly #wanted: ReadonlyMap<string, SeedMessage>;
  /** The first UID whose text must be read by Dovecot. */
  #odd = Number.POSITIVE_INFINITY;

  /**
   * @param directory below the maildir: empty for the INBOX, `.Sent` for another (Maildir++).
   * @param uidlist text of its dovecot-uidlist, read later than @param nextUids, of the index, by folder GUID.
   * @returns null when the folder is left to dsync: it is not understood, or has a name that is too long for an archive, or could become so.
   */
  static of(directory: string, uidlist: string, nextUids: ReadonlyMap<string, number>): FolderSeed | null {
    const list = parseUidlist(uidlist);
    const uidNext = list === null ? undefined : nextUids.get(list.guid);
    if (list === null || uidNext === undefined) return null;
    const seed = new FolderSeed(directory, {...list, uidNext, entries: list.entries.filter(({uid}) => uid < uidNext)});
    return seed.#fits() ? seed : null;
  }

  private constructor(directory: string, list: Uidlist) {
    this.directory = directory;
    this.#list = list;
    this.#wanted = new Map(list.entries.map(message => [message.base, message]));
  }

  #fits(): boolean {
    return fitsTar(this.path('dovecot-uidlist')) && this.#list.entries.every(({base}) => fitsTar(this.path(`cur/${base}${ALL_FLAGS}`)));
  }

  /** Paths below the maildir of the files that must still go, each message once. What is gone from the folder is expunged. */
  missing({cur, new: unseen}: FolderNames): [SeedMessage, path: string][] {
    const paths = new Map<SeedMessage, string>();
    for (const [part, names] of [[this.path('new/'), unseen] as const, [this.path('cur/'), cur] as const]) {
      for (const name of names) {
        const message = this.#wanted.get(baseOf(name));
        if (message !== undefined && !message.isSent) paths.set(message, part + name);
      }
    }
    return [...paths];
  }

  /**
   * Notes a message as sent.
   * @returns false when its file is not as long as its name says: Dovecot has a word to say about that, and mends it when it reads it.
   */
  sent(message: SeedMessage, bytes: Bytes): boolean {
    message.isSent = true;
    if (sizeIn(message.base) === bytes) return true;
    this.#odd = Math.min(this.#odd, message.uid);
    return false;
  }

  get guid(): string {
    return this.#list.guid;
  }

  /** Up to this UID all texts are known when all that are left have been sent. */
  readThrough(): number {
    return Math.min(this.#list.entries.at(-1)?.uid ?? 0, this.#odd - 1);
  }

  path(name: string): string {
    return this.directory === '' ? name : `${this.directory}/${name}`;
  }

  /** The uidlist of what was sent. */
  uidlist(): string {
    const {guid, uidValidity, uidNext} = this.#list;
    const lines = this.#entries().map(({line}) => `${line}\n`);
    return `3 V${uidValidity} N${uidNext} G${guid}\n${lines.join('')}`;
  }

  summary(): SeedFolder {
    const {guid, uidValidity} = this.#list;
    return {guid, uidValidity, messages: this.#entries().length};
  }

  #entries(): SeedMessage[] {
    return this.#list.entries.filter(({isSent}) => isSent);
  }
}
