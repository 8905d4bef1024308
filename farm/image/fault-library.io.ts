import {existsSync} from 'node:fs';
import {mkdir, readFile, rename} from 'node:fs/promises';
import type {Paths} from '../paths.ts';
import {run} from '../run.io.ts';
import {shortHash} from './build.io.ts';

/** The library that slows a host's fsync, built with this machine's gcc when its source changed; runs on Debian 12 and 13. */
export async function ensureFaultLibrary(paths: Paths): Promise<string> {
  const source = new URL('../fault/slow_fsync.c', import.meta.url).pathname;
  const library = `${paths.cache}/slow-fsync-${shortHash(await readFile(source))}.so`;
  if (existsSync(library)) return library;
  await mkdir(paths.cache, {recursive: true});
  const building = `${library}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-o', building, source, '-ldl']);
  await rename(building, library);
  return library;
}
