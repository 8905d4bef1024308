import type {Command} from 'commander';
import {down, type Farm} from '../farm.io.ts';
import {buildPackage} from '../package.io.ts';
import {farmPaths} from '../paths.ts';
import {cellName, selectCells} from './cells.ts';
import {MATRIX_LAYOUT} from './layout.ts';
import {forgetResults, readResults} from './results.io.ts';
import {resultsMarkdown, resultsTable} from './results.ts';
import {prepareMatrix, runMatrix} from './run.io.ts';

interface MatrixOptions {
  only?: string;
  resume?: boolean;
  keep?: boolean;
  markdown?: boolean;
  deb?: string;
}

const RUN_DIRECTORY = '/var/lib/mailherd-farm-matrix';

/** Every step of a move against everything that may die in it, on a farm of its own. */
export function addMatrixCommands(program: Command, say: Farm['say']): void {
  const farm: Farm = {
    paths: farmPaths({...process.env, MAILHERD_FARM_DIR: process.env.MAILHERD_FARM_DIR ?? RUN_DIRECTORY}),
    layout: MATRIX_LAYOUT,
    say,
  };
  const matrix = program
    .command('matrix')
    .description('every step of a move x everything that may die or be cut off in it, under live mail; fails when a promise is broken')
    .option('--only <cells>', 'STEP/FAULT, either may be left out; several with commas')
    .option('--resume', 'go on with a run that was broken off: cells that have a result are left out')
    .option('--keep', 'leave the farm up, with the results and the ledger of each cell')
    .option('--markdown', 'the result as a Markdown table')
    .option('--deb <path>', "the project's package; built when it is not given")
    .action((options: MatrixOptions) => matrixCommand(farm, options));
  matrix
    .command('table')
    .description('the results so far')
    .option('--markdown', 'as Markdown')
    .action((options: {markdown?: boolean}) => print(farm, options.markdown === true));
  matrix
    .command('down')
    .description('remove the farm of the matrix, and its results')
    .action(() => down(farm));
}

async function matrixCommand(farm: Farm, options: MatrixOptions): Promise<void> {
  const selected = selectCells(options.only ?? null);
  const isResumed = options.resume === true;
  if (!isResumed) forgetResults(farm.paths);
  const done = new Set(isResumed ? readResults(farm.paths).map(({cell}) => cell) : []);
  const cells = selected.filter(cell => !done.has(cellName(cell)));
  const cellOptions = await prepareMatrix(farm, options.deb ?? (await buildPackage()));
  await runMatrix(cellOptions, cells);
  const results = readResults(farm.paths);
  print(farm, options.markdown === true);
  if (results.some(({violations}) => violations.length > 0)) process.exitCode = 1;
  if (options.keep !== true) await down(farm);
}

function print({paths}: Farm, isMarkdown: boolean): void {
  const results = readResults(paths);
  process.stdout.write(isMarkdown ? resultsMarkdown(results) : resultsTable(results));
}
