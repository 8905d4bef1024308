import {existsSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {assert} from './assert.ts';

/** Version of this installation: that of the package.json above this file, in the source tree as in the package. */
export function packageVersion(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  const {version} = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {version?: unknown};
  assert(typeof version === 'string', 'package.json has a version');
  return version;
}
