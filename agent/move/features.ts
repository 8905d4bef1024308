import type {Feature} from '../../wire/command.ts';
import {pathOf} from './location.ts';

/** Names of the plugins, the same in both releases. */
const PLUGINS = {acl: 'acl', crypt: 'mail_crypt'} as const;
/** The store for metadata: `mail_attribute_dict = file:%h/dovecot-attributes` (2.3), `mail_attribute { dict file { path = ... } }` (2.4). */
const STORE = /^\s*mail_attribute(?:_dict = (?:file:)?(\S+)| \{\s+dict \w+ \{(?:\s+path = (.+))?)/m;

/**
 * Mail plugins in the output of `doveconf -n`: `mail_plugins = quota acl` (2.3), or a block with a line `acl = yes` for each (2.4).
 * Those of a single protocol count too; with `-f protocol=doveadm` the output has only what doveadm loads.
 */
export function loadedPlugins(doveconf: string): Set<string> {
  const found = new Set<string>();
  for (const [, words, block] of doveconf.matchAll(/^\s*mail_plugins(?: = (.*)| \{\n([^}]*)\})/gm)) {
    for (const name of words?.split(/\s+/) ?? []) found.add(name);
    for (const [, name = ''] of block?.matchAll(/^\s*(\w+) = yes$/gm) ?? []) found.add(name);
  }
  return found;
}

/** What settings tell of. */
export type SetFeature = Exclude<Feature, 'sieve' | 'user-keys' | 'hibernation'>;

/** What a Dovecot with these settings keeps. @param doveconf output of `doveconf -n`. */
export function offeredIn(doveconf: string): SetFeature[] {
  const plugins = loadedPlugins(doveconf);
  const byPlugin = (Object.keys(PLUGINS) as (keyof typeof PLUGINS)[]).filter(feature => plugins.has(PLUGINS[feature]));
  return STORE.test(doveconf) ? [...byPlugin, 'metadata'] : byPlugin;
}

/** By the names of either release: Dovecot makes a pair of keys for each user and folder, which lie with the mailbox. */
const USER_KEYS = /^\s*(?:mail_crypt_curve|crypt_user_key_curve) = \S/m;

/**
 * Whether mail is encrypted with keys that are each user's own. Pairs of keys are no part of what dsync copies, and the copy would get others; whether
 * doveadm may use them at all depends on a password that only the user's login has.
 */
export function hasUserKeys(doveconf: string): boolean {
  return loadedPlugins(doveconf).has(PLUGINS.crypt) && USER_KEYS.test(doveconf);
}

const HIBERNATION = /^\s*imap_hibernate_timeout = (?!0+[a-z]*\s*$)\S/m;

/**
 * Whether idle sessions of many users share a process (`imap-hibernate`). The session of one of them cannot be ended: `doveadm kick` passes over
 * a process that others are in, and that process does not end.
 */
export function isHibernating(doveconf: string): boolean {
  return HIBERNATION.test(doveconf);
}

/**
 * Where a user's metadata lie.
 * @returns null when they are not a file of his own, by what can be told from the settings.
 */
export function metadataFile(doveconf: string, user: string, home: string): string | null {
  const [, old, recent] = STORE.exec(doveconf) ?? [];
  return pathOf(old ?? recent ?? '', user, home);
}

/**
 * A folder's access control list, a line an identifier; those of the host's own configuration are left out.
 * @param rows of `doveadm -f tab acl get`.
 */
export function aclLines(rows: readonly Readonly<Record<string, string>>[]): string[] {
  return rows
    .filter(({Global}) => Global === '')
    .map(({ID = '', Rights = ''}) =>
      [
        ID,
        ...Rights.split(' ')
          .filter(right => right !== '')
          .sort(),
      ].join(' '),
    )
    .sort();
}
