import {Command} from 'commander';
import {MailherdError} from '../base/errors.ts';
import {enrolAll, enrolHost} from './enrol.io.ts';
import {down, type Farm, prepare, up} from './farm.io.ts';
import {startFault, stopFaults} from './fault/act.io.ts';
import {FAULTS, type FaultName, isFaultName} from './fault/catalog.ts';
import {findHost, LAYOUT} from './layout.ts';
import {shellIn} from './machine/enter.io.ts';
import {readState} from './machine/state.io.ts';
import {addMatrixCommands} from './matrix/commands.io.ts';
import {farmPaths} from './paths.ts';
import {runProvisioner} from './provisioner.io.ts';
import {statusText} from './status.io.ts';
import {tableText} from './table.ts';
import {addTrafficCommands, untilInterrupted} from './traffic/commands.io.ts';
import {startHelper} from './traffic/control.io.ts';
import {addVerdictCommands} from './verdict/commands.io.ts';

const farm: Farm = {
  paths: farmPaths(process.env),
  layout: LAYOUT,
  say: line => process.stderr.write(`${line}\n`),
};

const program = new Command('farm')
  .description('a miniature mail farm on this machine: real hosts, real mail, real faults')
  .enablePositionalOptions();

program
  .command('prepare')
  .description('build what the cache has not: images, fault library, layers of the package')
  .option('--deb <path>', "the project's package")
  .action((options: {deb?: string}) => prepare(farm, options.deb ?? null));
program
  .command('up')
  .description('bring up the farm; hosts that run are left alone')
  .option('--deb <path>', "install the project's package: agents and the coordinator run as its services")
  .option('--empty', 'without mailboxes')
  .action(async (options: {deb?: string; empty?: boolean}) => {
    await up(farm, {deb: options.deb ?? null, isFilled: options.empty !== true});
    await startHelper(farm.paths, 'provisioner', ['provisioner']);
  });
program
  .command('enrol [spare]')
  .description('tell the coordinator of all hosts and customers, or of one spare that has arrived')
  .action(async (spare?: string) => {
    const spec = spare === undefined ? undefined : findHost(farm.layout, spare);
    if (spare !== undefined && spec === undefined) throw new MailherdError('HOST_UNKNOWN', {host: spare});
    if (spec === undefined) farm.say(`${await enrolAll(farm)} customers enrolled`);
    else await enrolHost(farm, spec);
  });
program
  .command('provisioner')
  .description("play the data centre's provisioning in the foreground (up starts it)")
  .action(() => runProvisioner(farm, untilInterrupted()));
program
  .command('status')
  .description('hosts, queues, faults, helpers')
  .action(async () => {
    process.stdout.write(await statusText(farm));
  });
program
  .command('down')
  .description('end and remove everything of the farm; the cache of images stays')
  .action(() => down(farm));
program
  .command('shell <host> [command...]')
  .description('a shell, or a command, inside a host')
  .passThroughOptions()
  .action(async (host: string, command: string[]) => {
    process.exitCode = await shellIn(farm.paths, host, command);
  });

addTrafficCommands(program, farm);
addMatrixCommands(program, farm.say);
addVerdictCommands(program, farm.say);

const fault = program.command('fault').description('make a host go wrong, from inside, and right again');
fault.command('list').description('faults there are, and those that are on').action(listFaults);
fault
  .command('start <fault> <hosts> [value]')
  .description('start a fault on hosts (be4,be5), or change its strength')
  .action(async (name: string, hosts: string, value?: string) => {
    const known = faultName(name);
    for (const host of hosts.split(',')) {
      await startFault(farm.paths, farm.layout, known, host, value);
      farm.say(`${host}: ${name} is on`);
    }
  });
fault
  .command('stop [fault] [host]')
  .description('stop a fault on a host; all of it, or all there are, when none is named')
  .action(async (name?: string, host?: string) => {
    const stopped = await stopFaults(farm.paths, farm.layout, name === undefined ? null : faultName(name), host ?? null);
    for (const line of stopped) farm.say(`${line} is off`);
  });

function faultName(name: string): FaultName {
  if (isFaultName(name)) return name;
  throw new MailherdError('INPUT_INVALID', {what: 'fault', value: name, reason: `one of ${Object.keys(FAULTS).join(', ')}`});
}

async function listFaults(): Promise<void> {
  const rows = Object.entries(FAULTS).map(([name, info]) => [
    name,
    info.value === null ? '' : `${info.value.name} (${info.value.unit}), ${info.value.fallback}`,
    info.summary,
  ]);
  process.stdout.write(tableText(['fault', 'value', 'what it does'], rows));
  const {faults} = await readState(farm.paths);
  for (const [host, on] of Object.entries(faults)) {
    for (const [name, value] of Object.entries(on)) process.stdout.write(`on now: ${name} ${value} at ${host}\n`);
  }
}

try {
  await program.parseAsync();
} catch (error) {
  const detail = error instanceof MailherdError && typeof error.detail.console === 'string' ? `\n${error.detail.console}` : '';
  process.stderr.write(`farm: ${error instanceof Error ? error.message : String(error)}${detail}\n`);
  process.exitCode = 1;
}
