import {count, mostFirst} from '../../base/counts.ts';
import type {Evidence} from '../../wire/record.ts';
import {type Candidate, type Cell, search} from './explain.ts';
import {fisherChance} from './fisher.ts';
import {standsAgainstRivals} from './rivals.ts';
import type {SliName} from './sli.ts';

/** What users lose. */
const LOSSES: Record<SliName, 'mail' | 'login' | 'session'> = {
  deliveryMsP95: 'mail',
  queueAgeMsP95: 'mail',
  probeDeliveryMs: 'mail',
  lmtpMsP95: 'mail',
  probeLoginMs: 'login',
  loginMsP95: 'login',
  imapDroppedShare: 'session',
  probeFailureShare: 'session',
};
/** Fewer hosts are no illness of their own. */
const HOSTS_MIN = 2;
/** So few of the hosts of one illness may show the other as well, or lie on the other side of the labels that part them. */
const MIXED_SHARE_MAX = 0.1;
/** That labels part two illnesses by chance. */
const CHANCE_MAX = 0.01;

/** A host as far as its illness goes: the worst first. */
interface Patient {
  labels: Cell['labels'];
  evidence: readonly Evidence[];
}

/**
 * Of hosts that one label seems to explain: those that are sick in quite another way than most of them, where labels part the two. That is
 * two causes at once, which happen to have a label in common.
 * @param patients sick hosts by their index.
 * @returns indices; none where all have one illness.
 */
export function sickOtherwise(patients: ReadonlyMap<number, Patient>): ReadonlySet<number> {
  const counts = new Map<string, number>();
  const losses = new Map<number, string>();
  for (const [index, patient] of patients) {
    const [loss] = lossesOf(patient);
    if (loss === undefined) continue;
    losses.set(index, loss);
    count(counts, loss);
  }
  const [[main = '', most = 0] = [], [, second = 0] = []] = mostFirst(counts, hosts => hosts);
  if (second < HOSTS_MIN) return new Set();
  const others = [...losses].flatMap(([index, loss]) => (loss === main ? [] : [index]));
  const mixed = [...patients.values()].filter(patient => lossesOf(patient).includes(main)).length - most;
  if (mixed > MIXED_SHARE_MAX * others.length) return new Set();
  const cellsOf = (isBad: (loss: string) => boolean): Cell[] =>
    [...losses].map(([index, loss]) => ({labels: patients.get(index)?.labels ?? {}, bad: isBad(loss) ? 1 : 0, good: isBad(loss) ? 0 : 1}));
  const arePart = [cellsOf(loss => loss === main), cellsOf(loss => loss !== main)].some(cells => parts(search(cells)[0], cells));
  return new Set(arePart ? others : []);
}

function lossesOf({evidence}: Patient): string[] {
  return evidence.flatMap(({sli, explains}) => (explains === true ? [] : (LOSSES[sli as SliName] ?? [])));
}

function parts(best: Candidate | undefined, cells: readonly Cell[]): boolean {
  if (best === undefined) return false;
  const {labels, bad, good, othersBad, othersGood} = best;
  if (othersBad > MIXED_SHARE_MAX * (bad + othersBad) || good > MIXED_SHARE_MAX * (good + othersGood)) return false;
  const chance = fisherChance(bad, good, othersBad, othersGood);
  return standsAgainstRivals(cells, Object.keys(labels).length, () => true, chance, CHANCE_MAX);
}
