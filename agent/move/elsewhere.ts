/** What of a mailbox lies outside of its home, by what Dovecot says of the INBOX. */
export interface Elsewhere {
  /** The mail itself; null: in the home. */
  mail: string | null;
  /** Indexes, control files, alternate storage: of each the directory that is the user's alone, or null with a path of which nothing tells. */
  rest: {path: string; root: string | null}[];
}

/** @param paths of the INBOX: its mail first, then what belongs to it; empty ones are none. */
export function elsewhere(user: string, home: string, [inbox = '', ...others]: readonly string[]): Elsewhere {
  const isOutside = (path: string): boolean => path !== '' && path !== home && !path.startsWith(`${home}/`);
  const rest = [...new Set(others.filter(isOutside))].map(path => ({path, root: ownRoot(path, user, home)}));
  return {mail: isOutside(inbox) ? inbox : null, rest};
}

/**
 * The highest directory of `path` that does not hold the home and lies at or below the one that is named after the user, by his address or by his
 * name below his domain: nobody else has anything in it. Of several so named the deepest counts: a folder of a whole domain, or of all with the same
 * first letter, may have his name. @returns null where no such name stands in it.
 */
function ownRoot(path: string, user: string, home: string): string | null {
  const at = user.lastIndexOf('@');
  const [name, domain] = [user.slice(0, at), user.slice(at + 1)];
  const names = path.split('/');
  const last = names.findLastIndex((each, index) => each === user || (at > 0 && each === name && names.slice(0, index).includes(domain)));
  if (last < 0) return null;
  for (let count = last + 1; count <= names.length; count++) {
    const root = names.slice(0, count).join('/');
    if (root !== home && !home.startsWith(`${root}/`)) return root;
  }
  return null;
}
