import type {Policy} from '../../wire/policy.ts';
import type {HostRecord} from '../../wire/record.ts';
import {domainOf} from '../../wire/schema.ts';

/** Bit of everybody without a rule of hardware. */
const ANY = 1;

/** What the policy says of hosts and users, ready to be asked for millions of them. */
export interface Rules {
  /** Only a person moves it. */
  isPinned(user: string): boolean;
  /** The one bit a host must offer. */
  acceptedBy(user: string): number;
  /** Bits a host offers, by its labels. */
  offeredBy(labels: HostRecord['labels']): number;
  /** Of a bit, for people. */
  tierName(bit: number): string;
  strengthOf(labels: HostRecord['labels']): number;
  /** The most load for a host with these labels; null for no limit. */
  loadMaxOf(labels: HostRecord['labels']): number | null;
  /** Domain whose mailboxes move as one; null for none. */
  togetherOf(user: string): string | null;
  /** Least number of racks by domain. */
  apart: ReadonlyMap<string, number>;
}

/** The words of the policy; what they cost and forbid is put into figures by `modelOfFarm`. */
export function rulesOf({place}: Policy): Rules {
  const pinned = new Set(place.pinned.map(lower));
  const together = new Set(place.together.map(lower));
  const tiers = new Map<string, number>();
  place.tiers.forEach(({who}, at) => {
    if (!tiers.has(lower(who))) tiers.set(lower(who), ANY << (at + 1));
  });
  const strengths = Object.entries(place.strengths);
  const strengthOf = (labels: HostRecord['labels']): number => strengths.find(([label]) => has(labels, label))?.[1] ?? 1;
  const loadMax = place.loadMax ?? null;
  return {
    isPinned: user => pinned.size > 0 && (pinned.has(user) || pinned.has(`@${domainOf(user)}`)),
    acceptedBy: user => {
      if (tiers.size === 0) return ANY;
      const domain = domainOf(user);
      const [own, ofDomain] = [together.has(domain) ? undefined : tiers.get(user), tiers.get(`@${domain}`)];
      // The first of the list is the lowest bit; >>> because the last one is the sign.
      return own === undefined ? (ofDomain ?? ANY) : ofDomain === undefined ? own : own >>> 0 < ofDomain >>> 0 ? own : ofDomain;
    },
    offeredBy: labels =>
      place.tiers.reduce((bits, tier, at) => (tier.labels.every(one => has(labels, one)) ? bits | (ANY << (at + 1)) : bits), ANY),
    tierName: bit => place.tiers[31 - Math.clz32(bit) - 1]?.labels.join(' ') ?? 'any',
    strengthOf,
    loadMaxOf: labels => (loadMax === null ? null : loadMax * strengthOf(labels)),
    togetherOf: user => (together.size > 0 && together.has(domainOf(user)) ? domainOf(user) : null),
    apart: apartOf(place),
  };
}

/** Least number of racks by domain; of a domain that is named twice, both words hold. */
export function apartOf({apart}: Policy['place']): Map<string, number> {
  const racksOf = new Map<string, number>();
  for (const {domain, racks} of apart) racksOf.set(lower(domain), Math.max(racks, racksOf.get(lower(domain)) ?? 0));
  return racksOf;
}

/** @param label `key=value` */
function has(labels: HostRecord['labels'], label: string): boolean {
  const at = label.indexOf('=');
  return at > 0 && labels[label.slice(0, at)] === label.slice(at + 1);
}

function lower(text: string): string {
  return text.toLowerCase();
}
