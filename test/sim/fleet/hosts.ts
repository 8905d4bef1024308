import type {Rng} from '../../../base/random.ts';
import type {Labels} from '../../../wire/schema.ts';

/** One simulated host: what it is, who lives there, and how it differs from its twins though nothing is wrong. */
export interface SimHost {
  host: string;
  labels: Labels;
  users: number;
  /** Deliveries a second at the farm's mean load. */
  meanLoad: number;
  /** Natural logarithm of how much slower than the mean it is, always. */
  offset: number;
  /** How noisy its figures are, as a factor; hosts differ. */
  noisiness: number;
  clockSkewMs: number;
}

const RELEASES = [
  {os: 'debian-11', kernels: ['5.10.0-28', '5.10.0-30'], dovecot: '2.3.13', postfix: '3.5'},
  {os: 'debian-12', kernels: ['6.1.0-18', '6.1.0-25'], dovecot: '2.3.19', postfix: '3.7'},
  {os: 'debian-13', kernels: ['6.12.9', '6.12.41'], dovecot: '2.4.1', postfix: '3.10'},
];

/**
 * A farm as farms grow: bought in batches, each of one hardware model and mostly one disk model, racked in order of arrival, the release
 * mostly that of its day, some hosts reinstalled since. In half of the farms the newest batch alone has the newest release.
 */
export function drawHosts(rng: Rng, count: number): SimHost[] {
  const hosts: SimHost[] = [];
  const isStory = rng.unit() < 0.5;
  const batches = Math.max(2, Math.round(count / rng.between(8, 18)));
  const spread = rng.between(0.03, 0.1);
  for (let index = 0; index < count; index++) {
    const batch = Math.floor((index * batches) / count);
    const age = batch / Math.max(1, batches - 1);
    const isNewest = batch === batches - 1;
    const usual = age < 0.25 ? 0 : 1;
    const drawn = rng.unit() < 0.15 ? rng.below(3) : age > 0.6 && rng.unit() < 0.4 ? 2 : usual;
    const release = isStory ? (isNewest ? 2 : Math.min(drawn, 1)) : drawn;
    const {os, kernels, dovecot, postfix} = RELEASES[release] as (typeof RELEASES)[number];
    const model = Math.floor(batch / 2);
    const users = Math.round(600 * Math.exp(0.35 * normal(rng)));
    hosts.push({
      host: `h${String(index).padStart(3, '0')}`,
      labels: {
        os,
        kernel: rng.pick(kernels),
        image: `${os}-${rng.pick(['a', 'b'])}`,
        dovecot,
        postfix,
        hardware: `model-${model}`,
        batch: `batch-${batch}`,
        firmware: `fw-${model}.${rng.below(2)}`,
        bios: `bios-${Math.floor(batch / 3)}`,
        disk: `disk-${rng.unit() < 0.8 ? batch % 3 : rng.below(3)}`,
        rack: `rack-${Math.floor(index / 14)}`,
        age: `${2020 + Math.floor(age * 5.99)}`,
        dirty: rng.pick(['10', '20']),
        serial: `s${rng.below(1e9)}`,
      },
      users,
      meanLoad: (users / 600) * rng.between(1.5, 2.5),
      offset: spread * normal(rng),
      noisiness: Math.exp(0.25 * normal(rng)),
      clockSkewMs: Math.round(2_000 * normal(rng)),
    });
  }
  return hosts;
}

/** Box-Muller; mean 0, deviation 1. */
export function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.unit())) * Math.cos(2 * Math.PI * rng.unit());
}

/** Share of the mean load at a time: quiet nights, a peak in the forenoon, a smaller one after lunch, half of it at weekends. */
export function dailyLoad(atMs: number): number {
  const hour = (atMs / 3_600_000) % 24;
  const day = Math.floor(atMs / 86_400_000) % 7;
  const forenoon = Math.exp(-(((hour - 10) / 2.5) ** 2));
  const afternoon = 0.8 * Math.exp(-(((hour - 15) / 2.5) ** 2));
  return (0.25 + 1.4 * (forenoon + afternoon)) * (day >= 5 ? 0.5 : 1);
}
