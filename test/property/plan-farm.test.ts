import fc from 'fast-check';
import {expect, test} from 'vitest';
import {seededRng} from '../../base/random.ts';
import {construct} from '../../coordinator/plan/construct.ts';
import {type FarmHost, LEVELS, type Movables, modelOfFarm} from '../../coordinator/plan/farm.ts';
import {lackOf} from '../../coordinator/plan/lack.ts';
import {assertModel} from '../../coordinator/plan/model.ts';
import {costOf, violationsOf} from '../../coordinator/plan/model-check.ts';
import {type WaveLimits, wavesOf} from '../../coordinator/plan/waves.ts';
import {Explained} from '../../coordinator/plan/why.ts';
import type {PlannedMove} from '../../wire/record.ts';

const SEED = Number(process.env.MAILHERD_SEED ?? 20_261_124);
const RUNS = {numRuns: 300, seed: SEED};
const GIB = 2 ** 30;

const aHost = fc.record({gib: fc.nat({max: 200}), stays: fc.nat({max: 200}), isOpen: fc.boolean(), strength: fc.constantFrom(1, 1, 2)});
const aFarm = fc.record({
  hosts: fc.array(aHost, {minLength: 1, maxLength: 12}),
  sizes: fc.array(fc.nat({max: 20 * 1024}), {maxLength: 60}),
  seed: fc.integer(),
});

function build({hosts, sizes, seed}: typeof aFarm extends fc.Arbitrary<infer T> ? T : never): {hosts: FarmHost[]; movables: Movables} {
  const rng = seededRng(seed);
  const drawn = hosts.map(({gib, stays, isOpen, strength}, at): FarmHost => {
    return {name: `be${at}`, roomBytes: gib * GIB, stayBytes: stays * GIB, stayLoad: stays, loadMax: null, isOpen, strength};
  });
  drawn.push({name: 'leaving', roomBytes: 0, stayBytes: 0, stayLoad: 0, loadMax: null, isOpen: false, strength: 1});
  const movables = {
    home: new Int32Array(sizes.length).fill(drawn.length - 1),
    bytes: Float64Array.from(sizes, mib => mib * 2 ** 20),
    load: Float64Array.from(sizes, () => rng.below(5)),
  };
  return {hosts: drawn, movables};
}

test(`any farm: the first plan keeps all rules, the cost adds up, what lacks is told (MAILHERD_SEED=${SEED})`, () => {
  fc.assert(
    fc.property(aFarm, drawn => {
      const {hosts, movables} = build(drawn);
      const problem = modelOfFarm(hosts, movables);
      assertModel(problem.model);
      const assignment = construct(problem.model, LEVELS);
      expect(violationsOf(problem.model, assignment)).toEqual([]);
      expect(construct(problem.model, LEVELS)).toEqual(assignment);
      expect(costOf(problem.model, assignment).total).toBeLessThan(Number.MAX_SAFE_INTEGER);
      const lack = lackOf(hosts, movables, assignment);
      const room = hosts.map(({roomBytes}) => roomBytes);
      for (const [process, to] of assignment.entries()) {
        if (to !== movables.home[process]) room[to] = (room[to] as number) - (movables.bytes[process] as number);
      }
      expect(Math.min(...room)).toBeGreaterThanOrEqual(0);
      const unplaced = movables.home.filter((from, process) => assignment[process] === from).length;
      expect(lack?.mailboxes ?? 0).toBe(unplaced);
      // Whoever is left out would not fit anywhere even now.
      if (lack !== null) {
        const sizes = [...movables.bytes].filter((_, process) => assignment[process] === movables.home[process]);
        expect(Math.min(...sizes)).toBeGreaterThan(lack.largestRoomBytes - problem.unitBytes);
      } else expect(costOf(problem.model, assignment).total).toBeGreaterThanOrEqual(problem.bound);
    }),
    RUNS,
  );
});

test(`one more empty host never leaves more out (MAILHERD_SEED=${SEED})`, () => {
  fc.assert(
    fc.property(aFarm, drawn => {
      const {hosts, movables} = build(drawn);
      const out = (all: FarmHost[]): number => lackOf(all, movables, construct(modelOfFarm(all, movables).model, LEVELS))?.bytes ?? 0;
      const more: FarmHost = {name: 'new', roomBytes: 2_000 * GIB, stayBytes: 0, stayLoad: 0, loadMax: null, isOpen: true, strength: 1};
      expect(out([...hosts, more])).toBeLessThanOrEqual(out(hosts));
      expect(out([...hosts, more])).toBe(0);
    }),
    RUNS,
  );
});

test(`every move has an answer, and hosts without room are told so (MAILHERD_SEED=${SEED})`, () => {
  fc.assert(
    fc.property(aFarm, drawn => {
      const {hosts, movables} = build(drawn);
      const problem = modelOfFarm(hosts, movables);
      const assignment = construct(problem.model, LEVELS);
      const explained = new Explained(hosts, movables, problem, assignment);
      const fills = explained.fills();
      expect(fills.map(({level}) => level)).toEqual(fills.map(({level}) => level).sort((a, b) => b - a));
      for (let process = 0; process < movables.home.length; process++) {
        const choice = explained.choice(process);
        expect(choice === null).toBe(assignment[process] === movables.home[process]);
        if (choice === null) continue;
        const others = explained.others(process);
        expect(others.length).toBe(hosts.filter(({isOpen}) => isOpen).length - 1);
        expect(choice.code === 'ROOM_NOWHERE_ELSE').toBe(others.every(({code}) => code === 'NO_ROOM'));
        for (const other of others) {
          const room = fills.find(({host}) => host === other.host)?.roomBytes ?? 0;
          expect(other.code === 'NO_ROOM').toBe(room < (movables.bytes[process] as number));
        }
      }
    }),
    {...RUNS, numRuns: 100},
  );
});

const aMove = fc.record({source: fc.nat({max: 4}), step: fc.integer({min: 1, max: 4}), gib: fc.nat({max: 30})});

test(`waves: nothing is lost, no moment lacks space, limits hold (MAILHERD_SEED=${SEED})`, () => {
  fc.assert(
    fc.property(
      fc.array(aMove, {maxLength: 40}),
      fc.array(fc.nat({max: 100}), {minLength: 5, maxLength: 5}),
      fc.integer({min: 1, max: 4}),
      (drawn, rooms, most) => {
        const moves = drawn.map(({source, step, gib}, at): PlannedMove => {
          return {user: `u${at}@example.org`, source: `be${source}`, target: `be${(source + step) % 5}`, bytes: gib * GIB, why: ''};
        });
        const limits: WaveLimits = {perSourceMax: most, perTargetMax: most};
        const relief = new Map(rooms.map((gib, at) => [`be${at}`, gib % 3]));
        const room = new Map(rooms.map((gib, at) => [`be${at}`, gib * GIB]));
        const {waves, stuck} = wavesOf(moves, room, relief, limits);
        expect([...waves.flat(), ...stuck].map(({user}) => user).sort()).toEqual(moves.map(({user}) => user).sort());
        for (const wave of waves) {
          for (const {target, bytes} of wave) room.set(target, (room.get(target) as number) - bytes);
          expect(Math.min(...room.values())).toBeGreaterThanOrEqual(0);
          for (const {source, bytes} of wave) room.set(source, (room.get(source) as number) + bytes);
          for (const end of ['source', 'target'] as const) {
            const counts = wave.map(move => wave.filter(other => other[end] === move[end]).length);
            expect(Math.max(...counts)).toBeLessThanOrEqual(most);
          }
          expect(wave.length).toBeGreaterThan(0);
        }
        for (const {target, bytes} of stuck) expect(bytes).toBeGreaterThan(room.get(target) as number);
      },
    ),
    RUNS,
  );
});
