import type {Feature} from '../../wire/command.ts';

/** Names of the plugins, the same in both releases. */
const PLUGINS: Readonly<Record<Feature, string>> = {acl: 'acl', crypt: 'mail_crypt'};

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

/** Of these features, which plugins offer. */
export function offeredBy(plugins: ReadonlySet<string>): Feature[] {
  return (Object.keys(PLUGINS) as Feature[]).filter(feature => plugins.has(PLUGINS[feature]));
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
