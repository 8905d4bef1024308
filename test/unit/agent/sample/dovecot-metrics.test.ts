import {expect, test} from 'vitest';
import {addRequest, Latencies, metricsFor, missingMetrics} from '../../../../agent/sample/dovecot-metrics.ts';
import {Histogram} from '../../../../base/histogram.ts';

const METRICS = metricsFor(null);
const ALL = METRICS.map(({name}) => `${name}\t0`);
const line = (name: string, from: number | string, to: number | string, count: number): string =>
  `mailherd_${name}_duration_${from}_${to}\t${count}`;
const read = (packed: readonly number[] = []): {count: number; median: number | null} => {
  const histogram = new Histogram();
  histogram.merge(packed);
  return {count: histogram.count, median: histogram.percentile(0.5)};
};

test('a Dovecot that began anew lacks the metrics; adding one is one line', () => {
  expect(missingMetrics(['other\t3'], METRICS)).toEqual(METRICS);
  expect(missingMetrics(ALL, METRICS)).toEqual([]);
  for (const metric of METRICS) {
    expect(addRequest(metric).split('\t')).toHaveLength(8);
    // Dovecot takes no longer line.
    expect(addRequest(metric).length).toBeLessThan(1024);
    expect(addRequest(metric)).not.toContain('\n');
  }
  // A wrong password is answered late on purpose.
  for (const {name, filter} of METRICS) expect(filter.includes('NOT error=*')).toBe(name === 'mailherd_login');
});

test('a probe mailbox outside the domain of the agents is not counted either', () => {
  for (const {filter} of metricsFor('check "me"@example.org')) {
    expect(filter).toMatch(/AND NOT user=\*\.mailherd\.invalid AND NOT user="check \\"me\\"@example\.org"$/);
  }
  const longest = metricsFor(`"${'"'.repeat(254)}`);
  for (const metric of longest) expect(addRequest(metric).length).toBeLessThan(1024);
});

test('the first dump is where counting begins; then differences, by command', () => {
  const latencies = new Latencies();
  expect(latencies.take([...ALL, line('imap_SELECT', 257, 512, 10)])).toBeNull();
  const rows = latencies.take([
    ...ALL,
    'theirs\t9',
    line('imap_SELECT', 257, 512, 13),
    line('imap_UID_FETCH', 'ninf', 64, 2),
    line('lmtp', 16385, 32768, 4),
  ]);
  expect(rows?.map(({of}) => of)).toEqual(['lmtp', 'imap SELECT', 'imap UID FETCH']);
  expect(read(rows?.[1]?.us).count).toBe(3);
  const {count, median} = read(rows?.[0]?.us);
  expect(count).toBe(4);
  expect(median).toBeGreaterThan(16_385);
  expect(median).toBeLessThan(32_768);
  expect(latencies.take([...ALL, line('imap_SELECT', 257, 512, 13)])).toEqual([]);
});

test('counters that began anew count from zero', () => {
  const latencies = new Latencies();
  latencies.take([...ALL, line('lmtp', 65, 128, 1_000)]);
  expect(read(latencies.take([...ALL, line('lmtp', 65, 128, 7)])?.[0]?.us).count).toBe(7);
});

test('many commands: the busiest by name, the rest together, nothing lost', () => {
  const latencies = new Latencies();
  latencies.take(ALL);
  const names = Array.from({length: 20}, (_, at) => `imap_C${String.fromCharCode(65 + at)}`);
  const rows = latencies.take([...ALL, ...names.map((name, at) => line(name, 65, 128, at + 1)), line('login', 65, 128, 1)]);
  expect(rows).toHaveLength(7);
  expect(rows?.[0]?.of).toBe('login');
  expect(rows?.at(-1)?.of).toBe('imap other');
  expect(rows?.reduce((sum, {us}) => sum + read(us).count, 0)).toBe(211);
});

test('lines that are no counters of ours', () => {
  const latencies = new Latencies();
  latencies.take(ALL);
  expect(
    latencies.take([
      ...ALL,
      '',
      'mailherd_imap_duration_1_2',
      'mailherd_imap_a@x_duration_1_2\t3',
      'mailherd_lmtp_duration_x_2\t3',
      line('lmtp', 1, 2, -1),
    ]),
  ).toEqual([]);
});
