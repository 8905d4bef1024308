import {defineConfig} from 'vitest/config';

const project = (name: string, include: string[], extra: object = {}) => ({test: {name, include, environment: 'node', ...extra}});

/** Nothing is measured by it: it ends what would never end, on a machine that has other things to do too. */
const HANG_MS = 60_000;

export default defineConfig({
  test: {
    projects: [
      project('unit', ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', 'test/tidy.test.ts'], {testTimeout: HANG_MS}),
      project('sim', ['test/sim/**/*.test.ts'], {testTimeout: 120_000}),
      project('native', ['test/native/**/*.test.ts'], {testTimeout: HANG_MS}),
      project('nats', ['test/nats/**/*.test.ts'], {testTimeout: 30_000, hookTimeout: 30_000}),
      project('farm', ['test/farm/**/*.test.ts'], {testTimeout: 600_000, hookTimeout: 600_000, fileParallelism: false}),
    ],
  },
});
