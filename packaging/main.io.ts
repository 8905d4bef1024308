import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {packageVersion} from '../base/version.io.ts';
import {type Build, checkStage, SHIPPED, stageAgent, stageBinaries, stageCode, stageDebian, stageModules} from './stage.io.ts';

const ARCHES: Readonly<Record<string, string>> = {x64: 'amd64', arm64: 'arm64'};

/**
 * Builds the Debian package, unless the one that is there was built from the same.
 * `--unchecked` builds in spite of type errors, `--force` builds anyway.
 * @returns its path.
 */
async function main(args: readonly string[]): Promise<string> {
  const root = dirname(import.meta.dirname);
  const arch = ARCHES[process.arch];
  if (arch === undefined) throw new Error(`no package for ${process.arch}: ${Object.keys(ARCHES).join(', ')} only`);
  const version = packageVersion();
  const isStrict = !args.includes('--unchecked');
  const out = join(root, 'out');
  const deb = join(out, `mailherd_${version}_${arch}.deb`);
  const stamp = `${deb}.stamp`;
  const digest = digestOf(root, process.arch, isStrict);
  if (!args.includes('--force') && existsSync(deb) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) {
    say(`${relative(root, deb)} is current`);
    return deb;
  }
  mkdirSync(out, {recursive: true});
  // On the same file system as the result, so that it appears whole or not at all.
  const stage = mkdtempSync(join(out, 'stage-'));
  const temporary = `${stage}.deb`;
  const build: Build = {root, stage, version, arch, nodeArch: process.arch, isStrict};
  try {
    await timed('compile', () => stageCode(build));
    await timed('modules', () => stageModules(build));
    await timed('agent', () => stageAgent(build));
    await timed('binaries', () => stageBinaries(build));
    await timed('check', () => checkStage(build));
    await timed('control', () => stageDebian(build));
    await timed('package', () =>
      execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z3', '--build', stage, temporary], {stdio: 'pipe'}),
    );
    rmSync(stamp, {force: true});
    renameSync(temporary, deb);
    writeFileSync(stamp, digest);
  } finally {
    rmSync(stage, {recursive: true, force: true});
    rmSync(temporary, {force: true});
  }
  say(`${relative(root, deb)}: ${(statSync(deb).size / 1e6).toFixed(1)} MB`);
  return deb;
}

/** Over all that goes into the package; the runtime and the modules stand in the lock file with their own digests. */
function digestOf(root: string, nodeArch: string, isStrict: boolean): string {
  const hash = createHash('sha256').update(`${nodeArch} ${isStrict}\n`);
  const files = [...SHIPPED, 'packaging'].flatMap(folder =>
    readdirSync(join(root, folder), {withFileTypes: true, recursive: true})
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name)),
  );
  const others = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'build/Release/mailherd.node',
    'build/Release/mailherd-tune',
    'build/Release/mailherd-unpack',
  ].map(name => join(root, name));
  for (const file of [...files.sort(), ...others.filter(existsSync)]) {
    const content = readFileSync(file);
    hash.update(`${relative(root, file)} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

async function timed(step: string, work: () => unknown): Promise<void> {
  const startMs = performance.now();
  const result = await work();
  const count = typeof result === 'number' ? ` (${result})` : '';
  say(`${step}${count}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
}

function say(line: string): void {
  process.stderr.write(`package: ${line}\n`);
}

process.stdout.write(`${await main(process.argv.slice(2))}\n`);
