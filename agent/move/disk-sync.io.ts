import {stat} from 'node:fs/promises';
import {dirname} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import {ifGone} from './seed-archive.io.ts';
import type {MailPlace} from './seed-place.io.ts';
import {SharedRun} from './shared-run.ts';
import {output} from './tool.io.ts';

/**
 * Puts mailboxes on disk. That is done for a whole file system at a time, whoever asks: moves that end on one host share it, so that none waits
 * in its hold for all the others, one after the other.
 */
export class DiskSync {
  /** By device; `top` is a directory on it. */
  readonly #disks = new Map<number, {top: string; run: SharedRun}>();

  /** Everything that was written to the file systems of the mailbox before this call is on disk. @throws MailherdError COMMAND_FAILED */
  async place({home, inbox, outside}: Pick<MailPlace, 'home' | 'inbox' | 'outside'>): Promise<void> {
    const paths = [home, inbox, ...outside.rest.map(({path}) => path)];
    const [first, ...others] = await Promise.all(paths.map(deviceOf));
    if (first === undefined || first === null)
      throw new MailherdError('COMMAND_FAILED', {command: 'sync', path: home, reason: 'it is not there'});
    const found = new Map<number, string>([[first, home]]);
    others.forEach((device, at) => {
      if (device !== null && !found.has(device)) found.set(device, paths[at + 1] ?? home);
    });
    await Promise.all([...found].map(([device, path]) => this.#run(device, path)));
  }

  async #run(device: number, path: string): Promise<void> {
    const known = this.#disks.get(device);
    // A home may be removed while others wait for the next run; and the number of a disk that is mounted no more may be another's.
    const top = known !== undefined && (await deviceOf(known.top)) === device ? known.top : await mountOf(path, device);
    const present = this.#disks.get(device);
    const disk =
      present?.top === top ? present : {top, run: new SharedRun(async () => void (await output(['sync', '--file-system', top])))};
    this.#disks.set(device, disk);
    return disk.run.run();
  }
}

/** null when it is gone. */
async function deviceOf(path: string): Promise<number | null> {
  return (await stat(path).catch(ifGone))?.dev ?? null;
}

/** The highest directory above that is still on the device. */
async function mountOf(path: string, device: number): Promise<string> {
  const above = dirname(path);
  return above === path || (await stat(above)).dev !== device ? path : mountOf(above, device);
}
