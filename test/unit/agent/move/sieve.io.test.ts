import {createHash} from 'node:crypto';
import {setImmediate as turn} from 'node:timers/promises';
import {expect, test} from 'vitest';
import type {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import {readSieve} from '../../../../agent/move/sieve.io.ts';

const SCRIPTS = Array.from({length: 30}, (_, at) => `script ${at}`);

test('of any number of scripts few are read at the same time, and all are told in their order', async () => {
  const reading = {now: 0, most: 0};
  const server = {
    rows: async () => SCRIPTS.map(script => ({script, active: script === 'script 7' ? 'ACTIVE' : ''})),
    values: async (_user: string, [, , script = '']: readonly string[]) => {
      reading.most = Math.max(reading.most, ++reading.now);
      // The later ones are done first.
      for (let turns = SCRIPTS.length - SCRIPTS.indexOf(script); turns > 0; turns--) await turn();
      reading.now--;
      return [`text of ${script}`];
    },
  } as unknown as DoveadmServer;
  const digest = (script: string): string => createHash('sha256').update(`sieve script:\ntext of ${script}`).digest('hex');
  const expected = SCRIPTS.map(name => ({name, digest: digest(name), active: name === 'script 7'}));
  expect(await readSieve(server, 'ada@farm.example')).toEqual(expected);
  expect(reading.most).toBe(4);
});
