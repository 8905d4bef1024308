// Prepares this machine and runs one thing: `node setup.mjs test|unit|check|demo|farm|bench|sim|fuzz|package|build [arguments]`.
// Plain JavaScript for any Node >= 20, with no dependency: it runs before there is anything else. Everything after it runs on
// the Node that ships with Mailherd.
import {execFileSync, spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, writeFileSync} from 'node:fs';
import {constants, tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const ROOT = dirname(fileURLToPath(import.meta.url));
process.chdir(ROOT);
// Where Debian keeps nats-server, unshare's friends and the like; a user's own path often lacks it.
process.env.PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

const BUILD_PACKAGES = ['g++', 'make', 'python3', 'binutils'];
const TEST_PACKAGES = ['nats-server', 'clang', 'libclang-rt-dev'];
/** The benchmark of the queue runs a Postfix of its own; the package's service stays off. */
const QUEUE_PACKAGES = ['postfix', 'bsdutils'];
const FARM_PACKAGES = [
  ...['mmdebstrap', 'systemd-container', 'nftables', 'iproute2', 'e2fsprogs', 'util-linux'],
  ...['gcc', 'libc6-dev', 'dpkg-dev', 'debian-archive-keyring', 'ca-certificates'],
];
const NEEDED_PACKAGES = {code: [], tests: TEST_PACKAGES, queue: QUEUE_PACKAGES, farm: [...TEST_PACKAGES, ...FARM_PACKAGES]};
/** Packages whose service of the same name Debian enables. */
const SERVICES = ['nats-server', 'postfix'];
const FARM_CACHE = '/var/cache/mailherd-farm';
const PACKAGES_GB = 0.8;
const MODULES_GB = 0.6;
const FARM_GB = 5;
const SHIPPED_NODE = join(ROOT, 'node_modules', `node-linux-${process.arch}`);
const ADDON = join('build', 'Release', 'mailherd.node');

/** What each command needs of the machine: `code` runs anywhere on Linux, `tests` wants nats-server, `queue` a Postfix, `farm` makes real hosts. */
const COMMANDS = {
  build: {needs: 'code', run: async () => 0},
  check: {needs: 'code', run: check},
  unit: {needs: 'tests', run: async args => summed(await runTests(UNIT_PROJECTS, args))},
  test: {needs: 'farm', run: testAll},
  demo: {needs: 'farm', run: args => shipped(['farm/demo.io.ts', ...args])},
  farm: {needs: 'farm', run: args => shipped(['farm/main.io.ts', ...args])},
  bench: {
    needs: ([name]) => (FARM_BENCHES.includes(name) ? 'farm' : name === 'queue' ? 'queue' : 'code'),
    run: args => shipped(['bench/main.io.ts', ...args]),
  },
  sim: {needs: 'code', run: args => shipped(['test/sim/main.io.ts', ...args])},
  fuzz: {needs: 'tests', run: args => shipped(['native/fuzz/main.io.ts', ...args])},
  package: {needs: 'code', run: args => shipped(['packaging/main.io.ts', ...args])},
};
/** Benchmarks on real hosts. */
const FARM_BENCHES = ['story', 'move', 'evacuate', 'agent'];
const UNIT_PROJECTS = ['unit', 'sim', 'native', 'nats'];

/** What the user must change before anything can work; one line, no stack. */
class Missing extends Error {}

function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Programs that run now: they get the signals this process gets, and are waited for. */
const running = new Set();
let stoppedBy = null;

for (const [signal, exitCode] of [
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => {
    if (running.size === 0) process.exit(exitCode);
    stoppedBy = exitCode;
    // From a terminal an interrupt reaches the whole group anyway; twice would mean "at once" to some.
    if (signal === 'SIGINT' && process.stdin.isTTY) return;
    for (const child of running) child.kill(signal);
  });
}

/** @returns the exit code; 128 and more when a signal ended it. */
function ended(child) {
  running.add(child);
  return new Promise((resolve, reject) => {
    child.on('error', error => {
      running.delete(child);
      reject(error);
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve(stoppedBy ?? code ?? 128 + constants.signals[signal]);
    });
  });
}

function requireMachine(needs) {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) throw new Missing(`Node ${process.versions.node} is too old: install Node 20 or newer`);
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Missing(`${process.platform}/${process.arch} is not supported: Linux on x64 or arm64 is`);
  }
  requireDisk(ROOT, existsSync(SHIPPED_NODE) ? 0.3 : MODULES_GB + 0.3);
  if (needs !== 'farm') return;
  const os = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  if (!/^ID=debian$/m.test(os) || !/^VERSION_ID="1[23]"$/m.test(os)) throw new Missing('this makes real hosts and needs Debian 12 or 13');
  if (process.getuid() !== 0) throw new Missing('this makes hosts in namespaces and needs root: run it with sudo or as root');
  try {
    execFileSync('unshare', ['--net', '--mount', '--pid', '--uts', '--ipc', '--fork', 'true'], {stdio: 'ignore'});
  } catch {
    throw new Missing('this machine lets nobody make namespaces (a container without privileges?): the farm needs them');
  }
  requireDisk('/var/cache', FARM_GB);
}

function requireDisk(path, wantedGb) {
  const {bavail, bsize} = statfsSync(path);
  const freeGb = (bavail * bsize) / 1e9;
  if (freeGb < wantedGb)
    throw new Missing(`not enough disk: ${path} has ${freeGb.toFixed(1)} GB free, ${wantedGb.toFixed(1)} GB are needed`);
}

/** Runs a command with a clock; its output is shown only when it fails. */
async function quietly(what, command, args, options = {}) {
  const begunMs = performance.now();
  const child = spawn(command, args, {stdio: ['ignore', 'pipe', 'pipe'], ...options});
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => output.push(data));
  const seconds = () => `${Math.round((performance.now() - begunMs) / 1000)} s`;
  const isTerminal = process.stderr.isTTY === true;
  const clock = setInterval(
    () => (isTerminal ? process.stderr.write(`\r${what} … ${seconds()} `) : say(`${what} … ${seconds()}`)),
    isTerminal ? 1_000 : 30_000,
  );
  const code = await ended(child).finally(() => clearInterval(clock));
  if (isTerminal) process.stderr.write('\r');
  if (stoppedBy !== null) process.exit(stoppedBy);
  if (code !== 0) {
    process.stderr.write(Buffer.concat(output));
    throw new Missing(`${what} failed (exit ${code}); what it printed stands above`);
  }
  say(`${what}: done in ${seconds()}`);
}

function absentPackages(needs) {
  if (!existsSync('/usr/bin/dpkg-query')) return [];
  const wanted = [...BUILD_PACKAGES, ...NEEDED_PACKAGES[needs]];
  return wanted.filter(name => {
    try {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is dpkg's own template
      return !execFileSync('dpkg-query', ['-W', '-f', '${Status}', name], {stdio: ['ignore', 'pipe', 'ignore']})
        .toString()
        .includes('ok installed');
    } catch (error) {
      if (error.status === 1) return true;
      throw error;
    }
  });
}

const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_KEPT = `${POLICY}.kept-by-mailherd`;
const POLICY_OURS = '#!/bin/sh\n# Mailherd setup: no service starts while packages are installed.\nexit 101\n';

/** Takes our policy-rc.d away and puts back the one that was there; also what a run left that was ended without mercy. */
function restorePolicy() {
  if (existsSync(POLICY) && readFileSync(POLICY, 'utf8') === POLICY_OURS) rmSync(POLICY);
  if (existsSync(POLICY_KEPT) && !existsSync(POLICY)) renameSync(POLICY_KEPT, POLICY);
}

function isDpkgHalfDone() {
  return readdirSync('/var/lib/dpkg/updates').length > 0 || execFileSync('dpkg', ['--audit']).length > 0;
}

/** Installs Debian packages; a policy-rc.d keeps every service from being started meanwhile. One that was there comes back. */
async function installPackages(packages) {
  if (process.getuid() !== 0) throw new Missing(`Debian packages are missing: apt-get install ${packages.join(' ')}`);
  process.once('exit', restorePolicy);
  if (existsSync(POLICY)) renameSync(POLICY, POLICY_KEPT);
  writeFileSync(POLICY, POLICY_OURS, {mode: 0o755});
  const env = {...process.env, DEBIAN_FRONTEND: 'noninteractive'};
  const apt = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  // Apt refuses to go past what an interrupted installation left half done.
  if (isDpkgHalfDone()) await quietly('dpkg --configure -a', 'dpkg', ['--configure', '-a'], {env});
  await quietly('apt-get update', 'apt-get', [...apt, 'update'], {env});
  await quietly(
    `installing ${packages.join(' ')}`,
    'apt-get',
    [...apt, 'install', '-y', '--no-install-recommends', '--no-remove', ...packages],
    {env},
  );
  process.removeListener('exit', restorePolicy);
  restorePolicy();
  // Nor shall one start with the next boot that was not here before.
  const services = packages.filter(name => SERVICES.includes(name));
  if (services.length > 0 && existsSync('/usr/bin/systemctl'))
    await quietly(`disabling ${services.join(' ')}`, 'systemctl', ['disable', ...services]);
}

function newestMs(paths) {
  return Math.max(
    ...paths.map(path => {
      const stat = statSync(path);
      return stat.isDirectory() ? newestMs(readdirSync(path).map(name => join(path, name))) : stat.mtimeMs;
    }),
    0,
  );
}

const MODULES_STAMP = join('node_modules', '.mailherd-stamp');

function lockDigest() {
  return createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
}

function areModulesCurrent() {
  if (!existsSync(SHIPPED_NODE)) return false;
  if (existsSync(MODULES_STAMP) && readFileSync(MODULES_STAMP, 'utf8') === lockDigest()) return true;
  // `npm ci` by the user: npm's own record is as new as the lock.
  const record = join('node_modules', '.package-lock.json');
  return existsSync(record) && statSync(record).mtimeMs >= statSync('package-lock.json').mtimeMs;
}

async function installModules() {
  // The shipped Node carries the headers, so that none are fetched to build the addon.
  const env = {...process.env, npm_config_nodedir: SHIPPED_NODE};
  if (!areModulesCurrent()) {
    await quietly('npm ci, with the build of the addon', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {env});
    if (!existsSync(SHIPPED_NODE)) throw new Missing(`npm ci left no ${SHIPPED_NODE}: was it told to leave out optional packages?`);
    writeFileSync(MODULES_STAMP, lockDigest());
  }
  if (!existsSync(ADDON) || statSync(ADDON).mtimeMs < newestMs(['native', 'binding.gyp'])) {
    await quietly('building the addon', process.execPath, ['node_modules/node-gyp/bin/node-gyp.js', 'rebuild', '--nodedir', SHIPPED_NODE]);
  }
}

/** Says what is going to be installed and what it costs, before it is. */
function announce(name, needs, packages) {
  const parts = [];
  if (packages.length > 0)
    parts.push(`Debian packages ${packages.join(', ')} (up to ${PACKAGES_GB} GB, 1 to 3 minutes; no service is started)`);
  if (!areModulesCurrent()) parts.push(`npm packages and the C++ addon here (${MODULES_GB} GB, 1 to 2 minutes)`);
  if (needs === 'farm' && !hasImages()) {
    parts.push(`two Debian images in ${FARM_CACHE} (1.5 GB, up to 8 minutes, once; a running farm takes another 2 GB)`);
  }
  say(parts.length === 0 ? `mailherd ${name}: everything is installed` : `mailherd ${name} installs first: ${parts.join('; ')}`);
}

function hasImages() {
  return existsSync(FARM_CACHE) && readdirSync(FARM_CACHE).filter(entry => /^image-/.test(entry)).length >= 2;
}

/** Runs one of the project's programs on the shipped Node. @returns its exit code. */
function shipped(args) {
  return ended(spawn(join(SHIPPED_NODE, 'bin', 'node'), args, {stdio: 'inherit'}));
}

const CHECKS = {
  types: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
  'format and lint': ['node_modules/@biomejs/biome/bin/biome', 'check', '.'],
  rules: ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', 'test/tidy.test.ts'],
};

async function check() {
  const codes = [];
  for (const [name, args] of Object.entries(CHECKS)) {
    const code = await shipped(args);
    if (stoppedBy !== null) return stoppedBy;
    say(`check of ${name}: ${code === 0 ? 'passed' : 'FAILED'}`);
    codes.push(code);
  }
  return codes.find(code => code !== 0) ?? 0;
}

const counted = {passed: 0, failed: 0, skipped: 0};

/** Runs tests and counts them. @returns the exit code. */
async function runTests(projects, args, options = []) {
  const directory = mkdtempSync(join(tmpdir(), 'mailherd-tests-'));
  const report = join(directory, 'report.json');
  const names = projects.flatMap(name => ['--project', name]);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = await shipped(['node_modules/vitest/vitest.mjs', 'run', ...names, ...reporters, '--passWithNoTests', ...options, ...args]);
  const failedBefore = counted.failed;
  if (existsSync(report)) count(JSON.parse(readFileSync(report, 'utf8')));
  // It broke off, or something failed outside a test.
  if (code !== 0 && counted.failed === failedBefore) counted.failed += 1;
  rmSync(directory, {recursive: true});
  return code;
}

function count({numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults}) {
  counted.passed += numPassedTests;
  counted.skipped += numPendingTests + numTodoTests;
  // A file that cannot even be loaded has no tests that could fail.
  counted.failed += numFailedTests + testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0).length;
}

async function testAll(args) {
  const codes = [await check()];
  if (codes[0] !== 0) counted.failed += 1;
  for (const [projects, options] of [
    [UNIT_PROJECTS, []],
    [['farm'], ['--no-file-parallelism']],
  ]) {
    if (stoppedBy === null) codes.push(await runTests(projects, args, options));
  }
  return summed(codes.find(code => code !== 0) ?? 0);
}

/** The last line that is printed, for people and for programs. */
function summed(code) {
  const {passed, failed, skipped} = counted;
  console.log(`tests: ${passed} passed, ${failed} failed, ${skipped} skipped`);
  return code !== 0 ? code : failed > 0 || passed === 0 ? 1 : 0;
}

async function main([name, ...args]) {
  const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name] : undefined;
  if (command === undefined) {
    say(`usage: node setup.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`);
    return 2;
  }
  const needs = typeof command.needs === 'string' ? command.needs : command.needs(args);
  requireMachine(needs);
  if (process.getuid() === 0) restorePolicy();
  const packages = absentPackages(needs);
  announce(name, needs, packages);
  if (packages.length > 0) {
    requireDisk('/usr', PACKAGES_GB);
    await installPackages(packages);
  }
  await installModules();
  return command.run(args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  say(`mailherd: ${error.message}`);
  process.exitCode = 1;
}
