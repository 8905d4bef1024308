import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import Type from 'typebox';
import {replaceFile} from '../../base/replace.io.ts';
import {decode} from '../../wire/codec.ts';
import type {Log} from '../../wire/log.ts';
import {Activity} from './activity.ts';

const FILE = 'activity.json';
const Kept = Type.Array(Type.Tuple([Type.String(), Type.Number({minimum: 0}), Type.Number({minimum: 0}), Type.Number(), Type.Number()]));

/** What is known from before a restart; nothing when the file is not there, or spoilt. */
export async function loadActivity(stateDir: string, log: Log): Promise<Activity> {
  const path = join(stateDir, FILE);
  try {
    return new Activity(decode(Kept, await readFile(path, 'utf8'), path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({err: error}, 'how busy mailboxes are is not known any more, beginning anew');
    return new Activity();
  }
}

/** Losing the last hour of it does no harm: it is not forced to disk. */
export async function saveActivity(stateDir: string, activity: Activity, log: Log): Promise<void> {
  const path = join(stateDir, FILE);
  try {
    await replaceFile(path, JSON.stringify(activity.keep()));
  } catch (error) {
    log.warn({err: error}, 'how busy mailboxes are could not be saved');
  }
}
