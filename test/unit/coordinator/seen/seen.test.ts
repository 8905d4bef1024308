import {expect, test} from 'vitest';
import {replay} from './replay.ts';

test('slow fsync on all five hosts, minutes after they began: their probes fail by turns, and nobody is called sick', () => {
  const sick = new Set<string>();
  const felt = new Set<string>();
  replay('slow-fsync-all', ({verdicts}) => {
    for (const {host, kind, because} of verdicts) {
      if (kind === 'sick') sick.add(host);
      if (because === 'PEERS_AS_BAD') felt.add(host);
    }
  });
  expect([...felt].sort()).toEqual(['jd1', 'jd2', 'jd3', 'jd4', 'jd5']);
  expect([...sick]).toEqual([]);
});

test('Dovecot stands still on both hosts of a release: it is named, though those that work are slower than those with nothing to do', () => {
  let explainedAtMs: number | null = null;
  const wrong = new Set<string>();
  const sickAtMs = new Map<string, number>();
  replay('frozen-dovecot-cohort', ({verdicts, cohorts}, atMs) => {
    for (const {host, kind} of verdicts) if (kind === 'sick' && !sickAtMs.has(host)) sickAtMs.set(host, atMs);
    for (const {explained, labels} of cohorts) {
      if (!explained) continue;
      if (labels.os === 'debian-13') explainedAtMs ??= atMs;
      else wrong.add(JSON.stringify(labels));
    }
  });
  expect([...sickAtMs.keys()].sort()).toEqual(['jd4', 'jd5']);
  expect([...wrong]).toEqual([]);
  expect(explainedAtMs).not.toBeNull();
  expect((explainedAtMs ?? 0) - Math.max(...sickAtMs.values())).toBeLessThanOrEqual(45_000);
});
