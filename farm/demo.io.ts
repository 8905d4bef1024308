import {Command} from 'commander';
import {auditText} from './audit-text.ts';
import {down, type Farm} from './farm.io.ts';
import {LAYOUT} from './layout.ts';
import {buildPackage} from './package.io.ts';
import {farmPaths} from './paths.ts';
import {clockText} from './story/chronicle.ts';
import {tell} from './story/tell.io.ts';
import {tableText} from './table.ts';

const farm: Farm = {paths: farmPaths(process.env), layout: LAYOUT, say: line => process.stderr.write(`${line}\n`)};

async function demo(options: {keep?: boolean; json?: boolean}): Promise<void> {
  farm.say('building the package');
  const {story, chronicle, audit, failures} = await tell(farm, await buildPackage());
  const rows = chronicle.entries.map(({atMs, what, detail}) => [clockText(atMs), what, detail]);
  process.stdout.write(`\n${tableText(['when', 'what', ''], rows)}\n${auditText(audit)}\n`);
  process.stdout.write(`pause of a move: p50 ${story.pauseMsP50} ms, max ${story.pauseMsMax} ms, ${story.moves} moves\n`);
  for (const failure of failures) process.stdout.write(`FAILED  ${failure}\n`);
  if (options.keep === true) farm.say('the farm is up: npm run farm -- status | shell HOST; npm run demo -- down removes it');
  else await down(farm);
  if (options.json === true) process.stdout.write(`${JSON.stringify(story)}\n`);
  if (failures.length > 0) process.exitCode = 1;
}

const program = new Command('demo')
  .description('Mailherd saves a farm from a bad OS release: real hosts, real mail, and a ledger held against it in the end')
  .option('--keep', 'leave the farm up')
  .option('--json', 'print the figures as one object on the last line')
  .action(demo);
program
  .command('down')
  .description('remove the farm; the cache of images stays')
  .action(() => down(farm));
await program.parseAsync();
