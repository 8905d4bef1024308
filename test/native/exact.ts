import loadHighs from 'highs';
import type {PlanModel} from '../../coordinator/plan/model.ts';

/** Branches, not seconds, so that it is the same everywhere; a problem that takes more is told as null. */
const NODES_MAX = 20_000;
/** Its types describe the module as CommonJS has it. */
const load = loadHighs as unknown as (typeof loadHighs)['default'];

/** The least cost of a problem by a solver of mixed integer programmes (HiGHS); null when it does not prove one that soon. */
export async function leastCost(model: PlanModel): Promise<number | null> {
  const solver = await load();
  const solution = solver.solve(programme(model), {mip_max_nodes: NODES_MAX, mip_rel_gap: 0});
  return solution.Status === 'Optimal' ? Math.round(solution.ObjectiveValue) : null;
}

type Terms = Map<string, number>;

/** The model as a linear programme: x = process on machine, y = beyond safety, b = lack of balance, m = most moved of a service. */
function programme(model: PlanModel): string {
  const {machines, processes, resources, home, need} = model;
  const of = (array: {readonly [index: number]: number}, at: number): number => array[at] as number;
  const [costs, rows, binaries]: [Terms, string[], string[]] = [new Map(), [], []];
  const every = (count: number): number[] => Array.from({length: count}, (_, at) => at);
  const x = (process: number, machine: number): string => `x${process}_${machine}`;
  const row = (terms: Terms, relation: string, right: number): unknown => rows.push(`${text(terms)} ${relation} ${right}`);
  for (const process of every(processes)) {
    for (const machine of every(machines)) {
      binaries.push(x(process, machine));
      if (machine === of(home, process)) continue;
      const move = model.machineMoveCost === null ? 0 : of(model.machineMoveCost, of(home, process) * machines + machine);
      costs.set(x(process, machine), model.processMoveWeight * of(model.moveCost, process) + model.machineMoveWeight * move);
      if ((of(model.accepts, process) & of(model.offers, machine)) === 0) row(new Map([[x(process, machine), 1]]), '=', 0);
    }
    row(new Map(every(machines).map(machine => [x(process, machine), 1])), '=', 1);
  }
  for (const machine of every(machines)) {
    for (const r of every(resources)) {
      const at = machine * resources + r;
      const use: Terms = new Map(every(processes).map(process => [x(process, machine), of(need, process * resources + r)]));
      const here = every(processes).filter(process => of(home, process) === machine);
      const most = Math.max(
        of(model.capacity, at),
        here.reduce((sum, process) => sum + of(need, process * resources + r), 0),
      );
      row(new Map([...use, [`y${at}`, -1]]), '<=', of(model.safety, at));
      costs.set(`y${at}`, of(model.loadWeight, r));
      const leaves = model.transient[r] === 1 ? here : [];
      const stays = leaves.reduce((sum, process) => sum + of(need, process * resources + r), 0);
      row(new Map([...use].filter(([name]) => !leaves.some(process => name === x(process, machine)))), '<=', most - stays);
    }
    for (const b of every(model.balances)) {
      const [first, second, target] = [of(model.balanceFirst, b), of(model.balanceSecond, b), of(model.balanceTarget, b)];
      const terms: Terms = new Map([[`b${machine}_${b}`, -1]]);
      for (const process of every(processes)) {
        terms.set(x(process, machine), of(need, process * resources + second) - target * of(need, process * resources + first));
      }
      const free = (r: number): number => of(model.capacity, machine * resources + r);
      row(terms, '<=', free(second) - target * free(first));
      costs.set(`b${machine}_${b}`, of(model.balanceWeight, b));
    }
  }
  costs.set('m', model.serviceMoveWeight);
  for (const service of every(model.services)) {
    const own = every(processes).filter(process => of(model.service, process) === service);
    const moved: Terms = new Map([['m', -1]]);
    for (const process of own) moved.set(x(process, of(home, process)), -1);
    row(moved, '<=', -own.length);
    const within = (processesOf: readonly number[], isThere: (machine: number) => boolean, factor: number): Terms =>
      new Map(
        processesOf.flatMap(process =>
          every(machines)
            .filter(isThere)
            .map((machine): [string, number] => [x(process, machine), factor]),
        ),
      );
    if (model.exclusive[service] === 1)
      for (const machine of every(machines))
        row(
          within(own, at => at === machine, 1),
          '<=',
          1,
        );
    const spread: Terms = new Map();
    for (const location of every(model.locations)) {
      const name = `z${service}_${location}`;
      binaries.push(name);
      spread.set(name, 1);
      row(new Map([[name, 1], ...within(own, machine => model.location[machine] === location, -1)]), '<=', 0);
    }
    if (own.length > 0) row(spread, '>=', of(model.spread, service));
    for (let at = of(model.dependencyStart, service); at < of(model.dependencyStart, service + 1); at++) {
      const others = every(processes).filter(process => of(model.service, process) === of(model.dependencies, at));
      if (of(model.dependencies, at) === service) continue;
      for (const [process, neighbourhood] of own.flatMap(process => every(model.neighbourhoods).map(one => [process, one] as const))) {
        const isThere = (machine: number): boolean => model.neighbourhood[machine] === neighbourhood;
        row(new Map([...within([process], isThere, 1), ...within(others, isThere, -1)]), '<=', 0);
      }
    }
  }
  const named = rows.map((line, at) => ` r${at}: ${line}`);
  return ['Minimize', ` cost: ${text(costs)}`, 'Subject To', ...named, 'Binary', ...binaries.map(name => ` ${name}`), 'End'].join('\n');
}

function text(terms: Terms): string {
  const parts = [...terms]
    .filter(([, factor]) => factor !== 0)
    .map(([name, factor]) => `${factor < 0 ? '-' : '+'} ${Math.abs(factor)} ${name}`);
  return parts.length === 0 ? '0 m' : parts.join(' ');
}
