import {Command} from 'commander';
import {MailherdError} from '../base/errors.ts';
import {down, type Farm, prepare, up} from './farm.io.ts';
import {LAYOUT} from './layout.ts';
import {shellIn} from './machine/enter.io.ts';
import {farmPaths} from './paths.ts';

const farm: Farm = {
  paths: farmPaths(process.env),
  layout: LAYOUT,
  say: line => process.stderr.write(`${line}\n`),
};

const program = new Command('farm').description('a miniature mail farm on this machine: real hosts, real mail, real faults').enablePositionalOptions();

program.command('prepare').description('build what the cache has not: images, fault library').action(() => prepare(farm));
program.command('up').description('bring up the farm; hosts that run are left alone').action(() => up(farm));
program.command('down').description('end and remove everything of the farm; the cache of images stays').action(() => down(farm));
program
  .command('shell <host> [command...]')
  .description('a shell, or a command, inside a host')
  .passThroughOptions()
  .action(async (host: string, command: string[]) => {
    process.exitCode = await shellIn(farm.paths, host, command);
  });

try {
  await program.parseAsync();
} catch (error) {
  const detail = error instanceof MailherdError && typeof error.detail.console === 'string' ? `\n${error.detail.console}` : '';
  process.stderr.write(`farm: ${error instanceof Error ? error.message : String(error)}${detail}\n`);
  process.exitCode = 1;
}
