/** What of a mailbox lies outside of its home, by what Dovecot says of the INBOX. */
export interface Elsewhere {
  /** The mail itself; null: in the home. */
  mail: string | null;
  /** Indexes, control files, alternate storage, caches: of each the directory that is the user's alone, or null with a path of which nothing tells. */
  rest: {path: string; root: string | null}[];
}

/**
 * @param store directory of the mail store.
 * @param paths of the INBOX: its mail first, then what belongs to it; empty ones are none.
 */
export function elsewhere(user: string, home: string, store: string, [inbox = '', ...others]: readonly string[]): Elsewhere {
  const isOutside = (path: string): boolean => path !== '' && path !== home && !path.startsWith(`${home}/`);
  const rest = [...new Set(others.filter(isOutside))].map(path => ({path, root: ownRoot(path, user, home, store)}));
  return {mail: isOutside(inbox) ? inbox : null, rest};
}

/** What may follow the directory that is named after the user. Anything else may be another's: a further part of a name, a letter of a hash. */
const BELOW_OWN: ReadonlySet<string> = new Set([
  ...['INBOX', '.INBOX', 'mailboxes', 'dbox-Mails', 'storage'],
  ...['Maildir', 'sdbox', 'mdbox', 'mail', 'index', 'indexes', 'control', 'alt'],
]);

/**
 * The highest directory of `path` that does not hold the home and lies at or below the one that is named after the user, by his address or by his
 * name below his domain: nobody else has anything in it. Only what follows the store counts, and only names that nothing but Dovecot's own follow.
 * @returns null where no such name stands in it, and for a user without a domain: one may be called as a domain is.
 */
function ownRoot(path: string, user: string, home: string, store: string): string | null {
  const at = user.lastIndexOf('@');
  if (at <= 0 || !path.startsWith(`${store}/`)) return null;
  const [name, domain] = [user.slice(0, at), user.slice(at + 1)];
  const names = path.slice(store.length + 1).split('/');
  const last = names.findLastIndex((each, index) => each === user || (each === name && names.slice(0, index).includes(domain)));
  if (last < 0 || !names.slice(last + 1).every(each => BELOW_OWN.has(each))) return null;
  for (let count = last + 1; count <= names.length; count++) {
    const root = [store, ...names.slice(0, count)].join('/');
    if (root !== home && !home.startsWith(`${root}/`)) return root;
  }
  return null;
}
