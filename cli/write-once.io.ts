import {statSync, writeFileSync} from 'node:fs';
import {MailherdError} from '../base/errors.ts';

export const SECRET = 0o600;

/** Never over a file that is there. @throws when a secret that is there can be read by others. */
export function writeOnce(path: string, content: string, mode: number): void {
  try {
    writeFileSync(path, content, {mode, flag: 'wx'});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (mode === SECRET && (statSync(path).mode & 0o077) !== 0) {
      throw new MailherdError('CONFIG_INVALID', {file: path, path: '/', reason: 'others may read this secret; chmod 600'});
    }
  }
}
