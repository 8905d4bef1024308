// Prepares this machine and runs one thing: `node setup.mjs test|unit|check|demo|farm|bench|sim|package|build [arguments]`.
// Plain JavaScript for any Node >= 20, with no dependency: it runs before there is anything else. Everything after it runs on
// the Node that ships with Mailherd.
import {execFileSync, spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const ROOT = dirname(fileURLToPath(import.meta.url));
process.chdir(ROOT);

const BUILD_PACKAGES = ['g++', 'make', 'python3', 'binutils'];
const TEST_PACKAGES = ['nats-server'];
const FARM_PACKAGES = ['mmdebstrap', 'systemd-container', 'nftables', 'iproute2', 'nats-server', 'gcc', 'libc6-dev', 'util-linux'];
const FARM_DISK_GB = 6;
const DISK_GB = 2;

const COMMANDS = {
  build: {needs: 'code', run: async () => 0},
  check: {needs: 'code', run: check},
  unit: {needs: 'tests', run: async args => runTests(['unit', 'sim', 'native', 'nats'], args)},
  test: {needs: 'farm', run: testAll},
  demo: {needs: 'farm', run: args => shipped(['farm/demo.io.ts', ...args])},
  farm: {needs: 'farm', run: args => shipped(['farm/main.io.ts', ...args])},
  bench: {needs: 'code', run: args => shipped(['bench/main.io.ts', ...args])},
  sim: {needs: 'code', run: args => shipped(['test/sim/main.io.ts', ...args])},
  package: {needs: 'code', run: args => shipped(['packaging/main.io.ts', ...args])},
};

/** What the user must change before anything can work; one line, no stack. */
class Missing extends Error {}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function requireMachine(needs) {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) throw new Missing(`Node ${process.versions.node} is too old: install Node 20 or newer`);
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) throw new Missing(`${process.platform}/${process.arch} is not supported: Linux on x64 or arm64 is`);
  const os = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const isDebian = /^ID=debian$/m.test(os) && /^VERSION_ID="1[23]"$/m.test(os);
  if (needs !== 'code' && !isDebian) throw new Missing('this needs Debian 12 or 13 (see /etc/os-release)');
  if (needs === 'farm') {
    if (process.getuid() !== 0) throw new Missing('this makes hosts in namespaces and needs root: run it with sudo or as root');
    for (const kind of ['net', 'mnt', 'pid', 'uts', 'ipc']) {
      if (!existsSync(`/proc/self/ns/${kind}`)) throw new Missing(`this kernel has no ${kind} namespaces`);
    }
  }
  const {bavail, bsize} = statfsSync(ROOT);
  const wanted = needs === 'farm' ? FARM_DISK_GB : DISK_GB;
  if ((bavail * bsize) / 1e9 < wanted) throw new Missing(`not enough disk: ${wanted} GB wanted, ${((bavail * bsize) / 1e9).toFixed(1)} GB free`);
}

/** Runs a command with a clock in front of its last line of output; the whole output is shown only when it fails. */
function quietly(what, command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const begun = Date.now();
    const child = spawn(command, args, {stdio: ['ignore', 'pipe', 'pipe'], ...options});
    const output = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => output.push(data));
    const seconds = () => `${Math.round((Date.now() - begun) / 1000)} s`;
    const clock = setInterval(() => (process.stderr.isTTY ? process.stderr.write(`\r${what} … ${seconds()} `) : undefined), 1000);
    if (!process.stderr.isTTY) say(`${what} …`);
    child.on('error', reject);
    child.on('close', code => {
      clearInterval(clock);
      if (process.stderr.isTTY) process.stderr.write('\r');
      if (code === 0) {
        say(`${what}: done in ${seconds()}`);
        resolve();
      } else {
        process.stderr.write(Buffer.concat(output));
        reject(new Missing(`${what} failed (exit ${code}); what it printed stands above`));
      }
    });
  });
}

function absent(packages) {
  return packages.filter(name => {
    try {
      return !execFileSync('dpkg-query', ['-W', '-f', '${Status}', name], {stdio: ['ignore', 'pipe', 'ignore']}).toString().includes('ok installed');
    } catch (error) {
      if (error.status === 1) return true;
      throw error;
    }
  });
}

/** Installs Debian packages; a policy-rc.d keeps every service from being started meanwhile. One that was there comes back. */
async function installPackages(packages) {
  const wanted = absent(packages);
  if (wanted.length === 0) return;
  if (process.getuid() !== 0) throw new Missing(`these Debian packages are missing: apt install ${wanted.join(' ')}`);
  const policy = '/usr/sbin/policy-rc.d';
  const kept = `${policy}.mailherd-kept`;
  if (existsSync(policy) && !existsSync(kept)) renameSync(policy, kept);
  const restore = () => {
    rmSync(policy, {force: true});
    if (existsSync(kept)) renameSync(kept, policy);
  };
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', {mode: 0o755});
  process.once('exit', restore);
  const env = {...process.env, DEBIAN_FRONTEND: 'noninteractive'};
  await quietly('apt-get update', 'apt-get', ['update'], {env});
  await quietly(`installing ${wanted.join(' ')}`, 'apt-get', ['install', '-y', '--no-install-recommends', ...wanted], {env});
  process.removeListener('exit', restore);
  restore();
}

function shippedNode() {
  return join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
}

function newest(paths) {
  let time = 0;
  for (const path of paths) {
    const stat = statSync(path);
    time = Math.max(time, stat.isDirectory() ? newest(readdirSync(path).map(name => join(path, name))) : stat.mtimeMs);
  }
  return time;
}

async function installModules() {
  const stamp = join('node_modules', '.mailherd-stamp');
  const wanted = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  const addon = join('build', 'Release', 'mailherd.node');
  const isCurrent = existsSync(shippedNode()) && ((existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) || isInstalledByHand());
  if (!isCurrent) await quietly('npm ci with the build of the addon', 'npm', ['ci', '--no-audit', '--no-fund']);
  if (!existsSync(addon) || statSync(addon).mtimeMs < newest(['native', 'binding.gyp'])) {
    await quietly('building the addon', process.execPath, ['node_modules/node-gyp/bin/node-gyp.js', 'rebuild', ...nodeDirectory()]);
  }
  mkdirSync('node_modules', {recursive: true});
  writeFileSync(stamp, wanted);
}

/** `npm ci` or `npm install` by the user: npm's own record is as new as the lock. */
function isInstalledByHand() {
  const record = join('node_modules', '.package-lock.json');
  return existsSync(record) && statSync(record).mtimeMs >= statSync('package-lock.json').mtimeMs;
}

/** Headers of Node beside the running one, so that none need be fetched; else node-gyp's own way. */
function nodeDirectory() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? ['--nodedir', prefix] : [];
}

function announce(name, needs) {
  const what = {
    code: 'npm packages (about 550 MB) and the C++ addon; 1 to 2 minutes the first time',
    tests: 'npm packages (about 550 MB), the C++ addon, nats-server (not started); 1 to 2 minutes the first time',
    farm: `npm packages, the C++ addon, ${FARM_PACKAGES.join(', ')} (nothing is started), two Debian images in /var/cache/mailherd-farm; about ${FARM_DISK_GB} GB and up to 10 minutes the first time`,
  };
  say(`mailherd ${name}: installs what is missing of: ${what[needs]}`);
}

function shipped(args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(shippedNode(), args, {stdio: 'inherit', ...options});
    const pass = signal => child.kill(signal);
    process.on('SIGINT', pass);
    process.on('SIGTERM', pass);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', pass);
      process.off('SIGTERM', pass);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}

async function check() {
  for (const args of [
    ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
    ['node_modules/@biomejs/biome/bin/biome', 'check', '.'],
    ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', 'test/tidy.test.ts'],
  ]) {
    const code = await shipped(args);
    if (code !== 0) return code;
  }
  return 0;
}

const counted = {passed: 0, failed: 0, skipped: 0};

async function runTests(projects, args = []) {
  const directory = mkdtempSync(join(tmpdir(), 'mailherd-tests-'));
  const report = join(directory, 'report.json');
  const names = projects.flatMap(name => ['--project', name]);
  const code = await shipped(['node_modules/vitest/vitest.mjs', 'run', ...names, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args]);
  if (existsSync(report)) {
    const {numPassedTests, numFailedTests, numPendingTests, numTodoTests} = JSON.parse(readFileSync(report, 'utf8'));
    counted.passed += numPassedTests;
    counted.failed += numFailedTests;
    counted.skipped += numPendingTests + numTodoTests;
  }
  rmSync(directory, {recursive: true});
  return code;
}

async function testAll(args) {
  const codes = [await check(), await runTests(['unit', 'sim', 'native', 'nats'], args), await runTests(['farm'], args)];
  console.log(`tests: ${counted.passed} passed, ${counted.failed} failed, ${counted.skipped} skipped`);
  return codes.find(code => code !== 0) ?? (counted.passed > 0 ? 0 : 1);
}

async function main() {
  const [name, ...args] = process.argv.slice(2);
  const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name] : undefined;
  if (command === undefined) {
    say(`usage: node setup.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`);
    return 2;
  }
  requireMachine(command.needs);
  announce(name, command.needs);
  if (existsSync('/usr/bin/dpkg-query')) {
    await installPackages([...BUILD_PACKAGES, ...(command.needs === 'code' ? [] : TEST_PACKAGES), ...(command.needs === 'farm' ? FARM_PACKAGES : [])]);
  }
  await installModules();
  return command.run(args);
}

process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  say(`mailherd: ${error.message}`);
  process.exitCode = 1;
}
