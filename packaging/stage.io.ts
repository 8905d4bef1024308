import {execFileSync} from 'node:child_process';
import {chmodSync, copyFileSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {bundleAgent} from './bundle.io.ts';
import {copyModules} from './modules.io.ts';
import {compareVersions, newestSymbol} from './symbols.io.ts';

/** Debian 12's: the oldest release the package runs on. */
const GLIBC_MAX = [2, 36];
const GLIBCXX_MAX = [3, 4, 30];
/** What the package runs; the folders of packaging/tsconfig.json. */
export const SHIPPED = ['base', 'wire', 'native', 'agent', 'coordinator', 'cli'] as const;
const COMPILED = /\.(?:ts|cc|h)$/;

export interface Build {
  /** The source tree. */
  root: string;
  /** Empty directory that becomes the package. */
  stage: string;
  version: string;
  /** Debian's name, and node's. */
  arch: string;
  nodeArch: string;
  /** False: types that do not fit are shown but do not stop the build. */
  isStrict: boolean;
}

const LIB = 'usr/lib/mailherd';

/** TypeScript to JavaScript, and the files beside it that are read when it runs. */
export function stageCode({root, stage, isStrict}: Build): void {
  const target = join(stage, LIB);
  mkdirSync(target, {recursive: true});
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'packaging'), '--outDir', target];
  try {
    execFileSync(process.execPath, isStrict ? tsc : [...tsc, '--noEmitOnError', 'false'], {stdio: ['ignore', 'inherit', 'inherit']});
  } catch (error) {
    if (isStrict) throw new Error('the source does not compile', {cause: error});
  }
  for (const folder of SHIPPED) {
    cpSync(join(root, folder), join(target, folder), {
      recursive: true,
      filter: file => lstatSync(file).isDirectory() || !COMPILED.test(file),
    });
  }
  if (!existsSync(join(target, 'cli/main.io.js'))) throw new Error('the compiler wrote no cli/main.io.js');
  const {name, version, type} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, string>;
  writeFileSync(join(target, 'package.json'), `${JSON.stringify({name, version, type, private: true}, null, 2)}\n`);
}

/** After code and modules. @returns how many files the agent is. */
export function stageAgent({stage}: Build): Promise<number> {
  return bundleAgent(join(stage, LIB));
}

/** Production modules. @returns how many. */
export function stageModules({root, stage}: Build): number {
  return copyModules(root, join(stage, LIB));
}

/**
 * Runtime, addon, the writer of kernel values, and what unpacks mailboxes.
 * @throws when one is not there, or needs a newer C library than the oldest supported release has.
 */
export function stageBinaries({root, stage, nodeArch}: Build): void {
  const node = join(root, `node_modules/node-linux-${nodeArch}`);
  const binaries = [
    {from: join(node, 'bin/node'), to: 'bin/node', mode: 0o755},
    {from: join(root, 'build/Release/mailherd.node'), to: 'build/Release/mailherd.node', mode: 0o644},
    {from: join(root, 'build/Release/mailherd-tune'), to: 'bin/mailherd-tune', mode: 0o755},
    {from: join(root, 'build/Release/mailherd-unpack'), to: 'build/Release/mailherd-unpack', mode: 0o755},
  ];
  for (const {from, to, mode} of binaries) {
    if (!existsSync(from)) throw new Error(`${from} is not built: node setup.mjs build`);
    const file = join(stage, LIB, to);
    copy(from, file, mode);
    // Debug information and local symbols; what the addon links to stays.
    execFileSync('strip', ['--strip-unneeded', file]);
    for (const [family, max] of [
      ['GLIBC', GLIBC_MAX],
      ['GLIBCXX', GLIBCXX_MAX],
    ] as const) {
      const newest = newestSymbol(file, family);
      if (newest !== null && compareVersions(newest, max) > 0) {
        throw new Error(`${basename(file)} needs ${family}_${newest.join('.')}, Debian 12 has ${max.join('.')}`);
      }
    }
  }
  copy(join(node, 'LICENSE'), join(stage, 'usr/share/doc/mailherd/node.LICENSE'), 0o644);
}

/**
 * Starts what was staged with the staged runtime, so that a module that is missing is missed here.
 * @throws when a part cannot be loaded.
 */
export function checkStage({stage, isStrict}: Build): void {
  const target = join(stage, LIB);
  const parts = [
    'native/binding.js',
    'agent/main.io.js',
    'agent/mover.io.js',
    'agent/run.io.js',
    'agent/backend.io.js',
    'coordinator/main.io.js',
  ].filter(part => isStrict || existsSync(join(target, part)));
  const load = `${parts.map(part => `await import('./${part}');`).join('')} (await import('./native/binding.js')).queueFields();`;
  for (const args of [
    ['--input-type=module', '-e', load],
    ['cli/main.io.js', '--help'],
  ]) {
    execFileSync(join(target, 'bin/node'), args, {cwd: target, stdio: ['ignore', 'ignore', 'inherit'], timeout: 30_000});
  }
}

/** Wrapper, units, examples, maintainer scripts, control file. Comes last: the control file tells the size of all. */
export function stageDebian({root, stage, version, arch}: Build): void {
  const own = join(root, 'packaging');
  copy(join(own, 'debian/mailherd.sh'), join(stage, 'usr/bin/mailherd'), 0o755);
  copy(join(own, 'debian/agent-places.sh'), join(stage, LIB, 'bin/agent-places'), 0o755);
  for (const unit of readdirSync(join(own, 'units'))) copy(join(own, 'units', unit), join(stage, 'usr/lib/systemd/system', unit), 0o644);
  const examples = readdirSync(join(own, 'etc'));
  for (const example of examples) copy(join(own, 'etc', example), join(stage, 'etc/mailherd', example), 0o644);
  normalizeModes(stage);
  const kib = Math.ceil(bytesBelow(stage) / 1024);
  for (const script of ['postinst', 'prerm', 'postrm']) copy(join(own, 'debian', script), join(stage, 'DEBIAN', script), 0o755);
  writeFileSync(join(stage, 'DEBIAN/conffiles'), examples.map(example => `/etc/mailherd/${example}\n`).join(''));
  const control = readFileSync(join(own, 'debian/control.in'), 'utf8')
    .replace('@VERSION@', version)
    .replace('@ARCH@', arch)
    .replace('@GLIBC@', GLIBC_MAX.join('.'))
    .replace('@KIB@', String(kib));
  writeFileSync(join(stage, 'DEBIAN/control'), control);
}

function copy(from: string, to: string, mode: number): void {
  mkdirSync(dirname(to), {recursive: true});
  copyFileSync(from, to);
  chmodSync(to, mode);
}

/** The same modes whatever umask and checkout gave. */
function normalizeModes(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, {withFileTypes: true})) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) normalizeModes(path);
    else if (entry.isFile()) chmodSync(path, (lstatSync(path).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

function bytesBelow(folder: string): number {
  return readdirSync(folder, {withFileTypes: true, recursive: true})
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0);
}
