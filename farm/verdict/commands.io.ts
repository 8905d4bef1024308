import type {Command} from 'commander';
import {down, type Farm} from '../farm.io.ts';
import {buildPackage} from '../package.io.ts';
import {farmPaths} from '../paths.ts';
import {selectTrials, trialName, VERDICT_LAYOUT} from './cases.ts';
import {trialsTable} from './results.ts';
import {forgetTrials, prepareTrials, readTrials, runTrials} from './run.io.ts';

interface VerdictOptions {
  only?: string;
  resume?: boolean;
  keep?: boolean;
  deb?: string;
}

const RUN_DIRECTORY = '/var/lib/mailherd-farm-verdict';

/** Faults on one host, on a release, on everything, and what the coordinator says of them, on a farm of its own. */
export function addVerdictCommands(program: Command, say: Farm['say']): void {
  const farm: Farm = {
    paths: farmPaths({...process.env, MAILHERD_FARM_DIR: process.env.MAILHERD_FARM_DIR ?? RUN_DIRECTORY}),
    layout: VERDICT_LAYOUT,
    say,
  };
  const verdicts = program
    .command('verdicts')
    .description('faults on one host, on a release, on everything; fails unless each ends in the right verdict or the right silence')
    .option('--only <trials>', 'FAULT/WHERE, either may be left out; several with commas; where = host, cohort or all')
    .option('--resume', 'go on with a run that was broken off: trials that have a result are left out')
    .option('--keep', 'leave the farm up, with the results')
    .option('--deb <path>', "the project's package; built when it is not given")
    .action((options: VerdictOptions) => verdictsCommand(farm, options));
  verdicts
    .command('table')
    .description('the results so far')
    .action(() => print(farm));
  verdicts
    .command('down')
    .description('remove the farm of the verdicts, and its results')
    .action(() => down(farm));
}

async function verdictsCommand(farm: Farm, options: VerdictOptions): Promise<void> {
  const isResumed = options.resume === true;
  if (!isResumed) forgetTrials(farm.paths);
  const done = new Set(isResumed ? readTrials(farm.paths).map(({trial}) => trial) : []);
  const trials = selectTrials(options.only ?? null).filter(trial => !done.has(trialName(trial)));
  const access = await prepareTrials(farm, options.deb ?? (await buildPackage()));
  await runTrials(farm, access, trials);
  print(farm);
  if (readTrials(farm.paths).some(({violations}) => violations.length > 0)) process.exitCode = 1;
  if (options.keep !== true) await down(farm);
}

function print({paths}: Farm): void {
  process.stdout.write(trialsTable(readTrials(paths)));
}
