import {readdirSync} from 'node:fs';
import {parseArgs} from 'node:util';
import type {Benchmark} from './benchmark.ts';

/** `npm run bench -- NAME [--json] [options]`: runs one benchmark by name. */

const SUFFIX = '.io.ts';
/** Files of this folder that only lend a hand to benchmarks. */
const ASIDE = new Set(['main', 'postfix', 'processes', 'exporter', 'roadef']);

const names = readdirSync(import.meta.dirname)
  .filter(file => file.endsWith(SUFFIX))
  .map(file => file.slice(0, -SUFFIX.length))
  .filter(name => !ASIDE.has(name))
  .sort();

async function load(name: string): Promise<Benchmark> {
  const module = (await import(`./${name}${SUFFIX}`)) as {benchmark: Benchmark};
  return module.benchmark;
}

async function help(shown: readonly string[]): Promise<string> {
  const lines = ['usage: npm run bench -- NAME [--json] [options]', ''];
  for (const name of shown) {
    const {summary, options} = await load(name);
    lines.push(`${name.padEnd(8)} ${summary}`);
    for (const [option, {default: fallback, help: text}] of Object.entries(options)) {
      lines.push(`           --${option.padEnd(12)} ${text}${fallback === undefined ? '' : ` (default ${fallback})`}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

async function main(args: string[]): Promise<number> {
  const [name = '--help', ...rest] = args;
  if (name === '--help' || name === '-h') {
    process.stdout.write(await help(names));
    return 0;
  }
  if (!names.includes(name)) {
    process.stderr.write(`no benchmark named ${name}; there are: ${names.join(', ')}\n`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(await help([name]));
    return 0;
  }
  const benchmark = await load(name);
  const known = Object.fromEntries(
    Object.entries(benchmark.options).map(([option, {type, default: fallback}]) => [
      option,
      {type, ...(fallback === undefined ? {} : {default: fallback})},
    ]),
  );
  let values: Record<string, string | boolean | undefined>;
  try {
    ({values} = parseArgs({args: rest, options: {...known, json: {type: 'boolean', default: false}}, strict: true}));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  const figures = await benchmark.run(values, line => process.stderr.write(`${line}\n`));
  if (values.json === true) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else for (const [figure, value] of Object.entries(figures)) process.stdout.write(`${figure.padEnd(24)} ${value}\n`);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
