import {cpSync, existsSync, readFileSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';

interface LockEntry {
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  version?: string;
}

/** Not needed when it runs: the runtime goes to its own place, the headers of the addon were used when it was compiled. */
const NOT_SHIPPED = [/^node_modules\/node-linux-/, /^node_modules\/node-addon-api$/];
const NOT_SHIPPED_FILES = /\.(?:[cm]?ts|map|md|markdown|flow|tsbuildinfo)$|^\./i;
/** Of a module's top only: deeper down a `doc` is code. */
const NOT_SHIPPED_FOLDERS = /^(?:test|tests|__tests__|benchmarks?|examples?|docs?)$/i;
const LICENCE = /^(?:licen[cs]e|notice|copying)/i;

/**
 * Copies the modules that run in production, as the lock file names them, without typings, maps and documentation; licences stay.
 * @returns how many. @throws when one that is not optional is not installed, or is of another version than the lock file says.
 */
export function copyModules(root: string, target: string): number {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {packages: Record<string, LockEntry>};
  let copied = 0;
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '' || entry.dev === true || entry.devOptional === true || NOT_SHIPPED.some(pattern => pattern.test(path))) continue;
    const source = join(root, path);
    if (!existsSync(source)) {
      if (entry.optional === true) continue;
      throw new Error(`${path} is not installed: npm ci`);
    }
    const {version} = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {version?: string};
    if (version !== entry.version) throw new Error(`${path} is ${version}, the lock file says ${entry.version}: npm ci`);
    cpSync(source, join(target, path), {recursive: true, dereference: true, filter: file => isShipped(file, source)});
    copied += 1;
  }
  return copied;
}

function isShipped(file: string, module: string): boolean {
  if (file === module) return true;
  const name = basename(file);
  // Nested modules have lock entries of their own.
  if (name === 'node_modules') return false;
  if (dirname(file) === module && NOT_SHIPPED_FOLDERS.test(name)) return false;
  return LICENCE.test(name) || !NOT_SHIPPED_FILES.test(name);
}
