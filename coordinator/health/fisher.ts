/**
 * One-sided Fisher exact test: the chance of at least `sick` sick hosts among the members if the label had nothing to do with it.
 * Source: R. A. Fisher, The Design of Experiments (1935); the tail of the hypergeometric distribution.
 * @returns 0..1; 1 when nobody is sick.
 */
export function fisherChance(sick: number, well: number, othersSick: number, othersWell: number): number {
  const members = sick + well;
  const allSick = sick + othersSick;
  const all = members + othersSick + othersWell;
  const total = lnChoose(all, members);
  let chance = 0;
  for (let hit = sick; hit <= Math.min(members, allSick); hit++) {
    if (members - hit > all - allSick) continue;
    chance += Math.exp(lnChoose(allSick, hit) + lnChoose(all - allSick, members - hit) - total);
  }
  // Rounded where logarithms stop being exact, so that 1/5 is 0.2 and compares as such.
  return Math.min(1, Math.round(chance * 1e12) / 1e12);
}

function lnChoose(n: number, k: number): number {
  let sum = 0;
  for (let step = 1; step <= k; step++) sum += Math.log((n - k + step) / step);
  return sum;
}
