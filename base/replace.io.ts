import {open, rename, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';

/**
 * Replaces a small file as a whole, readable by its owner only: a reader finds the old content or the new one. After a power cut it may
 * be the old one, or empty.
 * @throws the file system's errors; the old file is then as it was.
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${path}.new`, content, {mode: 0o600});
  await rename(`${path}.new`, path);
}

/** As `replaceFile`, and on disk when it returns: written, fsynced, renamed, directory fsynced. */
export async function replaceFileDurably(path: string, content: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
}

/** What was made, renamed or removed in a directory is on disk when it returns. @throws the file system's errors. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
