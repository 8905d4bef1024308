import {readdir, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {setNewest} from '../../base/bounded.ts';
import {fewAtOnce} from '../../base/few-at-once.ts';
import type {Feature} from '../../wire/command.ts';
import {must} from './doveadm-run.io.ts';
import {aclLines, hasUserKeys, isHibernating, metadataFile, offeredIn, type SetFeature} from './features.ts';
import {ifGone} from './seed-archive.io.ts';
import type {MailPlaces} from './seed-place.io.ts';
import {listSieve} from './sieve.io.ts';
import {parseTab} from './tab.ts';

const ACL_FILE = 'dovecot-acl';
/** Directories of messages: large, and no folder is below them. */
const MESSAGES = new Set(['cur', 'new', 'tmp']);
const LISTS_AT_ONCE = 4;
/** Of so many users it is known at once; of whoever was looked at long ago nobody asks again. */
const USERS_MAX = 256;

interface Known {
  /** Whether doveadm, and with it dsync, heeds ACLs. */
  isLoaded: boolean;
  roots: string[];
  /** Of the files when the lists were read. */
  state: string;
  lists: Map<string, string[]>;
}

/**
 * Access control lists of folders. doveadm has a program start for each folder, so it is asked only while files with lists lie there,
 * and again only when these have changed: read ahead of a hold, nothing but a look at the directories is left for it.
 */
export class AclReader {
  readonly #places: MailPlaces;
  readonly #known = new Map<string, Known>();

  constructor(places: MailPlaces) {
    this.#places = places;
  }

  /** What doveadm needs to be told to see folders that are hidden from their own owner. @throws MailherdError COMMAND_FAILED. */
  async unrestricted(user: string): Promise<string[]> {
    // By the names of either release; the other one takes no notice.
    return (await this.#of(user)).isLoaded ? ['-o', 'plugin/acl=', '-o', 'acl_driver='] : [];
  }

  /** @returns the lists of these folders by name; of those that have one. @throws MailherdError COMMAND_FAILED. */
  async read(user: string, folders: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
    const known = await this.#of(user);
    if (!known.isLoaded) return new Map();
    const state = await aclState(known.roots);
    if (state !== known.state) known.lists.clear();
    known.state = state;
    const wanted = state === '' ? [] : folders.filter(name => !known.lists.has(name));
    await fewAtOnce(wanted, LISTS_AT_ONCE, async name => {
      known.lists.set(name, aclLines(parseTab(await must(['-f', 'tab', 'acl', 'get', '-u', user, '--', name]))));
    });
    return known.lists;
  }

  /** What the mailbox uses that a host without it would lose. @throws MailherdError COMMAND_FAILED. */
  async needs(user: string): Promise<Feature[]> {
    const doveconf = await this.#places.settings();
    const {roots} = await this.#of(user);
    const isUsed: Readonly<Record<SetFeature, () => Promise<boolean>>> = {
      acl: async () => (await aclState(roots)) !== '',
      crypt: async () => true,
      metadata: async () => {
        const path = metadataFile(doveconf, user, roots[0] ?? '');
        // In a store that others share nobody can tell.
        return path === null || ((await stat(path).catch(ifGone))?.size ?? 0) > 0;
      },
    };
    const used = await Promise.all(offeredIn(doveconf).map(async feature => ((await isUsed[feature]()) ? [feature] : [])));
    const scripts = await listSieve(this.#places.server, user);
    return [
      ...used.flat(),
      ...(scripts.length > 0 ? (['sieve'] as const) : []),
      ...(hasUserKeys(doveconf) ? (['user-keys'] as const) : []),
      ...(isHibernating(doveconf) ? (['hibernation'] as const) : []),
    ];
  }

  forget(user: string): void {
    this.#known.delete(user);
  }

  async #of(user: string): Promise<Known> {
    const before = this.#known.get(user);
    if (before !== undefined) return before;
    const [{home, inbox, control}, offers] = await Promise.all([this.#places.of(user), this.#places.offered()]);
    const roots = [home, ...[inbox, control].map(path => path.replace(/\/mailboxes\/INBOX(?:\/dbox-Mails)?$/, ''))];
    const known: Known = {
      isLoaded: offers.includes('acl'),
      roots: roots.filter((root, index) => index === 0 || !`${root}/`.startsWith(`${home}/`)),
      state: '',
      lists: new Map(),
    };
    setNewest(this.#known, user, known, USERS_MAX);
    return known;
  }
}

/** Which files with lists there are, and when they were written; '' for none. */
async function aclState(roots: readonly string[]): Promise<string> {
  return (await Promise.all([...new Set(roots)].map(aclFiles))).flat().sort().join('\n');
}

async function aclFiles(directory: string): Promise<string[]> {
  const found: Promise<string[]>[] = [];
  for (const entry of await entriesOf(directory)) {
    const path = join(directory, entry.name);
    if (entry.isFile() && entry.name === ACL_FILE) found.push(stateOf(path));
    else if (entry.isDirectory() && entry.name === 'dbox-Mails') found.push(stateOf(join(path, ACL_FILE)));
    else if (entry.isDirectory() && !MESSAGES.has(entry.name)) found.push(aclFiles(path));
  }
  return (await Promise.all(found)).flat();
}

async function entriesOf(directory: string): Promise<Awaited<ReturnType<typeof list>>> {
  return (await list(directory).catch(ifGone)) ?? [];
}

const list = (directory: string) => readdir(directory, {withFileTypes: true});

async function stateOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(ifGone);
  return found === null || found.size === 0 ? [] : [`${path} ${found.size} ${found.mtimeMs} ${found.ino}`];
}
