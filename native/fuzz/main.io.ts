import {execFileSync, spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';

/**
 * Fuzzes the addon's parsers with libFuzzer, which looks for inputs by what the code does with those before, under AddressSanitizer and
 * UBSan. `node setup.mjs fuzz [seconds] [seed]`; what it finds out stays in build/fuzz/corpus, and an input that breaks a parser in
 * build/fuzz/crash-*: `build/fuzz/parsers FILE` replays it.
 */
const ROOT = join(import.meta.dirname, '../..');
const NATIVE = join(ROOT, 'native');
const OUT = join(ROOT, 'build', 'fuzz');
const SEEDS = [join(ROOT, 'test', 'native', 'fixtures'), join(NATIVE, 'fuzz', 'seeds')];
const PROGRAM = join(OUT, 'parsers');
const PARSERS = [
  ...['block_queue', 'conntrack', 'cpu_stat', 'directory_watch', 'journal', 'kernel_file', 'key_values', 'listen_queues', 'mounts'],
  ...['numbers', 'port_use', 'postfix_processes', 'pressure', 'process_use', 'queue_file', 'queue_id', 'smtp_peers', 'sock_diag'],
  ...['softnet', 'source_sets', 'text_digest', 'text_rows', 'xfs_stat', 'tune/knob', 'tune/ledger', 'unpack/mail_paths', 'unpack/ustar'],
];
const OPTIONS = ['-std=c++20', '-g', '-O1', '-fno-exceptions', '-fno-sanitize-recover=all', '-fsanitize=fuzzer,address,undefined'];
/** OpenSSL's headers are Node's. */
const HEADERS = join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'include', 'node');

const [seconds = '60', seed = String(process.hrtime.bigint() % 1_000_000n)] = process.argv.slice(2);
mkdirSync(join(OUT, 'corpus'), {recursive: true});
if (!isCurrent()) {
  const sources = ['fuzz/parsers', ...PARSERS].map(name => join(NATIVE, `${name}.cc`));
  execFileSync('clang++', [...OPTIONS, `-isystem${HEADERS}`, '-o', PROGRAM, ...sources]);
}
process.stdout.write(`fuzz: ${seconds} s, seed ${seed}\n`);
const limits = [`-max_total_time=${seconds}`, `-seed=${seed}`, '-max_len=16384', '-print_final_stats=1', '-verbosity=0'];
// The error on purpose is looked for from nothing, and leaves nothing.
const isPlanted = process.env.MAILHERD_FUZZ_PLANTED !== undefined;
const places = isPlanted ? ['-exact_artifact_path=/dev/null'] : [`-artifact_prefix=${OUT}/`, join(OUT, 'corpus'), ...SEEDS];
// AddressSanitizer of LLVM before 18 dies by chance where a kernel spreads addresses over 32 bits.
const [command = PROGRAM, ...before] = spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R', PROGRAM] : [PROGRAM];
process.exitCode = spawnSync(command, [...before, ...limits, ...places], {stdio: 'inherit'}).status ?? 1;

function isCurrent(): boolean {
  if (!existsSync(PROGRAM)) return false;
  const builtMs = statSync(PROGRAM).mtimeMs;
  const files = readdirSync(NATIVE, {recursive: true, encoding: 'utf8'}).filter(name => /\.(cc|h|ts)$/.test(name));
  return files.every(name => statSync(join(NATIVE, name)).mtimeMs < builtMs);
}
