import {count} from '../../base/counts.ts';
import type {CohortVerdict} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';

/**
 * The release to install on a sick host: the `os` that most healthy controls of the cohort verdict run, when the verdict names the
 * release (alone, with others, or as one of labels that cannot be told apart).
 * @param labelsOf labels of any host, null when not known.
 * @returns null when the release is not what the verdict blames, or no control runs another one: then there is nothing to install.
 */
export function releaseFor(host: string, cohorts: readonly CohortVerdict[], labelsOf: (host: string) => Labels | null): string | null {
  const own = labelsOf(host)?.os ?? null;
  const cohort = cohorts.find(({explained, members, labels, confounded}) => {
    return explained && members.includes(host) && (labels.os !== undefined || confounded.includes('os'));
  });
  if (cohort === undefined || own === null) return null;
  const counts = new Map<string, number>();
  for (const control of cohort.controls) {
    const os = labelsOf(control)?.os;
    if (os !== undefined && os !== own && !cohort.sick.includes(control)) count(counts, os);
  }
  const [best] = [...counts].sort(([osA, a], [osB, b]) => b - a || osA.localeCompare(osB));
  return best?.[0] ?? null;
}
