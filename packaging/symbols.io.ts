import {execFileSync} from 'node:child_process';

/**
 * Newest version of a symbol family that a binary needs, e.g. [2, 35] for GLIBC; null when it needs none.
 * Source: objdump(1) -p, "Version References".
 */
export function newestSymbol(file: string, family: 'GLIBC' | 'GLIBCXX'): number[] | null {
  const text = execFileSync('objdump', ['-p', file], {encoding: 'utf8', maxBuffer: 16 * 1024 * 1024});
  const found = [...text.matchAll(new RegExp(`\\b${family}_([0-9]+(?:\\.[0-9]+)*)`, 'g'))].map(match =>
    (match[1] ?? '').split('.').map(Number),
  );
  return found.sort(compareVersions).at(-1) ?? null;
}

export function compareVersions(left: readonly number[], right: readonly number[]): number {
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
