import {run} from './run.io.ts';

/** Builds the project's package unless it is current. @returns its path. */
export async function buildPackage(): Promise<string> {
  const main = new URL('../packaging/main.io.ts', import.meta.url).pathname;
  return (await run([process.execPath, main])).trim().split('\n').at(-1) ?? '';
}
