import {execFile} from 'node:child_process';
import type {Benchmark} from './benchmark.ts';

export const benchmark: Benchmark = {
  summary: 'the story of "npm run demo" on a fresh farm of real hosts: what was lost, how long moves paused, how long it all took (root)',
  options: {},
  async run(_options, say) {
    const begun = performance.now();
    const output = await demo(say);
    const story = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
    return {...story, storySeconds: Math.round((performance.now() - begun) / 1_000)};
  },
};

/** @returns what the demo printed. @throws when a check of the story did not hold. */
function demo(say: (line: string) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, ['farm/demo.io.ts', '--json'], (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`the story did not come true:\n${stdout}`));
    });
    child.stderr?.on('data', text => say(String(text).trimEnd()));
  });
}
