import type {Interval} from '../../../../agent/report/build.ts';

/** An interval in which nothing could be measured. */
export const NOTHING: Interval = {
  host: 'be01',
  role: 'backend',
  generation: 1,
  sequence: 0,
  sampledAtMs: 0,
  intervalMs: 10_000,
  labels: {},
  kernel: null,
  system: {},
  queue: null,
  here: null,
  store: null,
  mail: null,
  mailFigures: null,
  probes: null,
  routes: null,
  holdPorts: null,
  self: {version: '1', installation: 1, cpuMs: 0, rssBytes: 0, spooled: 0, dropped: 0, refused: 0},
  failing: {},
};
