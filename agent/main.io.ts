import {readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {pino} from 'pino';
import {MailherdError} from '../base/errors.ts';
import {look} from '../base/terminal.io.ts';
import {packageVersion} from '../base/version.io.ts';
import {loggedError} from '../wire/log.ts';
import {type AgentConfig, EXIT_CONFIG, parseAgentConfig} from './config.ts';
import {readLabels} from './inventory/inventory.io.ts';
import {sampleOnce} from './report/reporter.io.ts';
import {runAgent} from './run.io.ts';

const CONFIG_FILE = '/etc/mailherd/agent.yaml';
const EXIT_USAGE = 2;
const USAGE = `usage: mailherd agent [--config FILE]                  run until SIGTERM
       mailherd agent once [--json] [--config FILE]    print one report of this host and end
       mailherd agent check [--json] [--config FILE]   what can be read here, what not and why; exit code 1: not all that matters
`;
const VERBS = ['once', 'check'] as const;

/**
 * Entry of `mailherd agent`.
 * @param args words after `agent`.
 * @returns the exit code: 1 when `check` found what cannot be read, 78 for a configuration that is not valid, 2 for words it does not know.
 */
export async function main(args: string[]): Promise<number> {
  let file: string;
  let verb: (typeof VERBS)[number] | null;
  let isJson: boolean;
  try {
    const {values, positionals} = parseArgs({
      args,
      options: {config: {type: 'string', default: CONFIG_FILE}, json: {type: 'boolean', default: false}, help: {type: 'boolean'}},
      allowPositionals: true,
    });
    file = values.config;
    isJson = values.json;
    verb = VERBS.find(name => name === positionals[0]) ?? null;
    if (values.help === true) {
      process.stdout.write(USAGE);
      return 0;
    }
    if (positionals.length > (verb === null ? 0 : 1)) throw new Error(`unknown: ${positionals.join(' ')}`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    return EXIT_USAGE;
  }
  try {
    const config = readConfig(file);
    if (verb === 'check') return await check(config, isJson);
    if (verb === 'once') await once(config, isJson);
    else await serve(config);
    return 0;
  } catch (error) {
    if (!(error instanceof MailherdError) || error.code !== 'CONFIG_INVALID') throw error;
    const {file: where = file, path = '/', reason} = error.detail;
    process.stderr.write(`${where}: ${path}: ${reason}\n`);
    return EXIT_CONFIG;
  }
}

async function serve(config: AgentConfig): Promise<void> {
  const log = pino({level: config.logLevel, base: null, serializers: {err: loggedError}});
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  await runAgent(config, log, stop);
}

async function once(config: AgentConfig, isJson: boolean): Promise<void> {
  const labels = await readLabels(config, pino({level: 'silent'}));
  const report = await sampleOnce(config, packageVersion(), labels);
  // The service needs neither tables nor what is tried for a person: both are loaded here only.
  const {renderReport} = await import('./check/render.ts');
  process.stdout.write(`${isJson ? JSON.stringify(report) : renderReport(report)}\n`);
}

/** @returns the exit code. */
async function check(config: AgentConfig, isJson: boolean): Promise<number> {
  const [{lookAtSources}, {isWell}, {renderCheck}] = await Promise.all([
    import('./check/look.io.ts'),
    import('./check/findings.ts'),
    import('./check/render.ts'),
  ]);
  const sources = await lookAtSources(config);
  const {host, role} = config;
  process.stdout.write(`${isJson ? JSON.stringify({host, role, well: isWell(sources), sources}) : renderCheck(sources, look())}\n`);
  return isWell(sources) ? 0 : 1;
}

/** @throws MailherdError CONFIG_INVALID */
function readConfig(file: string): AgentConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: (cause as Error).message}, {cause});
  }
  return parseAgentConfig(text, file);
}

if (import.meta.main) {
  try {
    // What still waits for a hung disk or a slow probe must not keep the process.
    process.exit(await main(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`mailherd agent: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    process.exit(1);
  }
}
