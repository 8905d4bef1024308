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
 * The highest directory of `path` that is named after the user, by his address or by both of its parts, and does not hold his home: nobody else
 * has anything in it. @returns null where no such name stands in it.
 */
function ownRoot(path: string, user: string, home: string): string | null {
  const at = user.lastIndexOf('@');
  const [name, domain] = [user.slice(0, at), user.slice(at + 1)];
  const names = path.split('/');
  for (let count = 1; count <= names.length; count++) {
    const own = names.slice(0, count);
    const isNamed = own.includes(user) || (at > 0 && own.some((each, index) => each === name && without(own, index).includes(domain)));
    const root = own.join('/');
    if (isNamed && root !== home && !home.startsWith(`${root}/`)) return root;
  }
  return null;
}

function without(names: readonly string[], index: number): string[] {
  return names.filter((_, other) => other !== index);
}
