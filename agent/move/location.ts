/**
 * A path of Dovecot's configuration for a user, by the names that both releases have for him, his domain and his home.
 * @returns null where other variables stand in it, or it is not absolute.
 */
export function pathOf(text: string, user: string, home: string): string | null {
  const at = user.lastIndexOf('@');
  const [name, domain] = at === -1 ? [user, ''] : [user.slice(0, at), user.slice(at + 1)];
  const values: Readonly<Record<string, string>> = {
    ...{h: home, home, u: user, user},
    ...{n: name, 'user|username': name, d: domain, 'user|domain': domain},
  };
  const known = (whole: string, variable: string): string => values[variable.replaceAll(' ', '')] ?? whole;
  const path = text.replace(/^~\//, `${home}/`).replace(/%\{([^}]*)\}|%(\w)/g, (whole, long, short) => known(whole, long ?? short));
  return path.startsWith('/') && !path.includes('%') ? path : null;
}

const CACHES = /:INDEXCACHE=([^:\s]+)/;

/**
 * Where Dovecot 2.3 keeps the caches of a user's folders when it is not with the indexes: that its doveadm does not tell.
 * @param location of his own, by the user database; null: as in the settings. @param doveconf output of `doveconf -n`.
 * @returns null when they are with the indexes, or it cannot be told from the settings.
 */
export function cachesOf(location: string | null, doveconf: string, user: string, home: string): string | null {
  const told = location ?? /^\s*(?:mail_)?location = .*:INDEXCACHE=.*$/m.exec(doveconf)?.[0] ?? '';
  const [, path] = CACHES.exec(told) ?? [];
  return path === undefined ? null : pathOf(path, user, home);
}
