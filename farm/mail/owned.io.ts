import {chown, mkdir, writeFile} from 'node:fs/promises';

/** uid and gid of the mailboxes on every host of the farm. */
export const VMAIL = 5_000;

/** Where a customer's home lies below a host's mail store. */
export function homeOf(store: string, user: string): string {
  const at = user.lastIndexOf('@');
  return `${store}/${user.slice(at + 1)}/${user.slice(0, at)}`;
}

/** A directory of the mail user, with those above it that are missing. */
export async function makeOwned(path: string): Promise<void> {
  const first = await mkdir(path, {recursive: true, mode: 0o700});
  if (first === undefined) return;
  for (let each = path; each.length >= first.length; each = each.slice(0, each.lastIndexOf('/'))) await chown(each, VMAIL, VMAIL);
}

/** A file of the mail user. */
export async function writeOwned(path: string, text: string): Promise<void> {
  await writeFile(path, text, {mode: 0o600});
  await chown(path, VMAIL, VMAIL);
}
