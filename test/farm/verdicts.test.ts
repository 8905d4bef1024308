import {afterAll, beforeAll, expect, test} from 'vitest';
import {down, type Farm} from '../../farm/farm.io.ts';
import {buildPackage} from '../../farm/package.io.ts';
import {farmPaths} from '../../farm/paths.ts';
import {selectTrials, VERDICT_LAYOUT} from '../../farm/verdict/cases.ts';
import {prepareTrials, runTrials} from '../../farm/verdict/run.io.ts';

/** Two of the trials; `npm run farm -- verdicts` runs them all. */
const SAMPLE = 'dead-dovecot/host,power-off/host';

const farm: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-verdict-test'}),
  layout: VERDICT_LAYOUT,
  say: () => undefined,
};

beforeAll(() => down(farm));
afterAll(() => down(farm));

test('a host without Dovecot is sick, one without power is silent, and nobody else is blamed', {timeout: 600_000}, async () => {
  const access = await prepareTrials(farm, await buildPackage());
  const results = await runTrials(farm, access, selectTrials(SAMPLE));
  expect(results.map(({trial, violations}) => ({trial, violations}))).toEqual([
    {trial: 'dead-dovecot/host', violations: []},
    {trial: 'power-off/host', violations: []},
  ]);
});
