import {countsOf, mostFirst} from '../../base/counts.ts';

/** Classes of destinations: the large ones fail together, all others alone. */
const CLASSES: readonly [name: string, hosts: RegExp][] = [
  ['google', /(?:^|\.)(?:google|googlemail|gmail)\.com$/],
  ['microsoft', /(?:^|\.)(?:outlook|hotmail|live|msn|office365)\.[a-z.]{2,6}$/],
  ['yahoo', /(?:^|\.)(?:yahoo\.[a-z.]{2,6}|aol\.[a-z]{2,3}|yahoodns\.net|ymail\.com)$/],
  ['apple', /(?:^|\.)(?:icloud|me|mac|apple)\.com$/],
  ['united', /(?:^|\.)(?:gmx\.[a-z]{2,3}|web\.de|1and1\.com|kundenserver\.de|mail\.com)$/],
  ['telekom', /(?:^|\.)(?:t-online|telekom)\.de$/],
];

/**
 * @param domain of the recipient, lower case.
 * @param relay host that took or refused the mail, lower case; null when none was reached. It decides where it is known: many domains
 * have their mail at one of the large ones.
 */
export function destinationClass(domain: string, relay: string | null): string {
  return classOf(relay) ?? classOf(domain) ?? 'other';
}

function classOf(host: string | null): string | null {
  return host === null ? null : (CLASSES.find(([, hosts]) => hosts.test(host))?.[0] ?? null);
}

const SAMPLE_MAX = 512;
const DOMAINS_TOLD_MAX = 5;

/** The last domains that a look into the queue gave; older ones give way. */
export class DestinationSample {
  #domains: string[] = [];

  add(domains: readonly string[]): void {
    this.#domains = [...this.#domains, ...domains].slice(-SAMPLE_MAX);
  }

  /** Of a queue that was emptied, nothing is left to say. */
  clear(): void {
    this.#domains = [];
  }

  /** null before there is any. */
  figures(): {sampled: number; classes: Record<string, number>; domains: Record<string, number>} | null {
    if (this.#domains.length === 0) return null;
    const classes = tally(this.#domains.map(domain => destinationClass(domain, null)));
    return {
      sampled: this.#domains.length,
      classes: Object.fromEntries(classes),
      domains: Object.fromEntries(tally(this.#domains).slice(0, DOMAINS_TOLD_MAX)),
    };
  }
}

/** Most frequent first; those that are equally frequent by name. */
function tally(names: readonly string[]): [string, number][] {
  return mostFirst(countsOf(names), times => times);
}
