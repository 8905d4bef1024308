import {execFileSync, spawnSync} from 'node:child_process';
import {existsSync, mkdirSync} from 'node:fs';
import {join} from 'node:path';

/**
 * Fuzzes the addon's parsers under AddressSanitizer and UBSan: with libFuzzer, which looks for inputs by coverage, where clang is
 * installed, and elsewhere, or on request, by mutation that a seed replays. `node setup.mjs fuzz [seconds] [seed] [mutate]`.
 */
const ROOT = join(import.meta.dirname, '../..');
const OUT = join(ROOT, 'build', 'fuzz');
const CORPUS = join(ROOT, 'test', 'native', 'fixtures');
const PARSERS = [
  ...['block_queue', 'conntrack', 'cpu_stat', 'directory_watch', 'journal', 'kernel_file', 'key_values', 'listen_queues'],
  ...[
    'mounts',
    'numbers',
    'port_use',
    'postfix_processes',
    'pressure',
    'process_use',
    'queue_file',
    'queue_id',
    'smtp_peers',
    'sock_diag',
    'softnet',
    'source_sets',
    'xfs_stat',
  ],
  ...['tune/knob', 'tune/ledger'],
];
const SANITIZERS = 'address,undefined';
const CLANGS = ['clang++', 'clang++-19', 'clang++-14'];

const [seconds = '60', seed = String(process.hrtime.bigint() % 1_000_000n), way = 'search'] = process.argv.slice(2);
const clang = way === 'mutate' ? null : CLANGS.find(name => spawnSync(name, ['--version'], {stdio: 'ignore'}).status === 0);
const sources = ['fuzz/parsers.cc', ...PARSERS.map(name => `${name}.cc`)].map(name => join(ROOT, 'native', name));
const options = ['-std=c++20', '-g', '-O1', '-fno-exceptions', '-fno-sanitize-recover=all'];
mkdirSync(OUT, {recursive: true});
process.stdout.write(`fuzz: ${seconds} s, seed ${seed}, ${clang ? `libFuzzer of ${clang}` : 'seeded mutation'}\n`);
process.exitCode = clang ? search(clang) : mutate();

function mutate(): number {
  const program = join(OUT, 'driver');
  // The driver itself may use exceptions: the standard library's files do.
  execFileSync('g++', [
    ...options,
    '-fexceptions',
    `-fsanitize=${SANITIZERS}`,
    '-o',
    program,
    ...sources,
    join(ROOT, 'native/fuzz/driver.cc'),
  ]);
  return ended([program, seed, seconds, CORPUS]);
}

function search(compiler: string): number {
  const program = join(OUT, 'parsers');
  const found = join(OUT, 'corpus');
  mkdirSync(found, {recursive: true});
  execFileSync(compiler, [...options, `-fsanitize=fuzzer,${SANITIZERS}`, '-o', program, ...sources]);
  const folders = [found, CORPUS].filter(existsSync);
  const limits = [`-max_total_time=${seconds}`, `-seed=${seed}`, '-max_len=16384', '-print_final_stats=1', `-artifact_prefix=${OUT}/`];
  return ended([program, ...limits, ...folders]);
}

function ended([program = '', ...args]: string[]): number {
  return spawnSync(program, args, {stdio: 'inherit'}).status ?? 1;
}
