import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {toRefusal} from '../../base/errors.ts';
import {replaceFileDurably} from '../../base/replace.io.ts';
import {decode} from '../../wire/codec.ts';
import type {Log} from '../../wire/log.ts';
import {NO_MEMORY, TuneMemory} from './memory.ts';
import type {TunerPorts} from './tuner.ts';

/** The memory of a tuner as a small file that is replaced as a whole. A spoilt one is as none: leases end what nobody remembers. */
export function tuneMemory(stateDir: string, log: Log): TunerPorts['memory'] {
  const path = join(stateDir, 'tune.json');
  return {
    load() {
      if (!existsSync(path)) return NO_MEMORY;
      try {
        return decode(TuneMemory, readFileSync(path), path);
      } catch (error) {
        log.warn({refusal: toRefusal(error)}, 'what was tuned is not known any more; what is changed ends with its lease');
        return NO_MEMORY;
      }
    },
    save: memory => replaceFileDurably(path, JSON.stringify(memory)),
  };
}
