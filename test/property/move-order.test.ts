import fc from 'fast-check';
import {expect, test} from 'vitest';
import {isUnderWay, RunningMoves} from '../../coordinator/move/budget.ts';
import type {WaitingMove} from '../../coordinator/move/mover.ts';
import {DomainOrder, type Whereabouts} from '../../coordinator/move/order.ts';
import {DEFAULT_POLICY} from '../../wire/policy.ts';
import type {MoveRecord, PlannedMove} from '../../wire/record.ts';
import {moveOf, START_MS} from '../unit/coordinator/fleet-builder.ts';

const SEED = Number(process.env.MAILHERD_SEED ?? 20_261_124);
const DOMAIN = 'd.example';
const CHOICE: PlannedMove['choice'] = {code: 'LOWEST_LEVEL', level: 1, next: null};
const HOSTS = 6;

/** Moves of a domain that is kept apart and of others, over six hosts in three racks, in any order, under any budget. */
const aRun = fc.record({
  racks: fc.constantFrom(2, 3),
  moves: fc.array(fc.record({isApart: fc.boolean(), from: fc.nat(HOSTS - 1), to: fc.nat(HOSTS - 1)}), {maxLength: 14}),
  stay: fc.array(fc.nat(HOSTS - 1), {maxLength: 2}),
  limits: fc.record({
    concurrentMax: fc.integer({min: 1, max: 6}),
    perSourceMax: fc.constantFrom(1, 2),
    perTargetMax: fc.constantFrom(1, 2),
  }),
  /** Which of those under way ends, whether well, and whether the picture hears of it at once. */
  fate: fc.array(fc.record({which: fc.nat(20), isWell: fc.nat(5).map(drawn => drawn > 0), isHeard: fc.boolean()}), {
    minLength: 40,
    maxLength: 40,
  }),
});

const rackOf = (host: string): string => `r${Number(host.slice(2)) % 3}`;

test(`whatever waits for whom: no moment brings a domain too close, and nothing waits for ever (MAILHERD_SEED=${SEED})`, {
  timeout: 60_000,
}, () => {
  fc.assert(
    fc.property(aRun, ({racks, moves, stay, limits, fate}) => {
      const truth = new Map(stay.map((at, index) => [`stays${index}@${DOMAIN}`, `be${at}`]));
      let waiting = moves.flatMap(({isApart, from, to}, index): WaitingMove[] => {
        const user = `u${index}@${isApart ? DOMAIN : 'other.example'}`;
        if (from === to) return [];
        truth.set(user, `be${from}`);
        return [{planned: {user, source: `be${from}`, target: `be${to}`, bytes: 1, why: '', choice: CHOICE}, planId: 'p', because: ''}];
      });
      const heard = new Map(truth);
      const where: Whereabouts = {
        apart: new Map([[DOMAIN, racks]]),
        usersOf: domain => [...heard.keys()].filter(user => user.endsWith(`@${domain}`)),
        hostOf: user => heard.get(user) ?? null,
        rackOf,
      };
      const racksNow = (): number =>
        new Set([...truth].filter(([user]) => user.endsWith(`@${DOMAIN}`)).map(([, host]) => rackOf(host))).size;
      const least = Math.min(racks, racksNow());
      const records: MoveRecord[] = [];
      for (const [at, {which, isWell, isHeard}] of fate.entries()) {
        const nowMs = START_MS + at * 1_000;
        const order = new DomainOrder(where, records, nowMs);
        const budget = {...DEFAULT_POLICY.move, ...limits};
        const begun = new RunningMoves(records, () => false);
        const left: WaitingMove[] = [];
        for (const one of waiting) {
          const because = begun.why(one.planned, budget, {}) ?? order.why(one.planned);
          if (because !== null) left.push({...one, because});
          else {
            begun.begun(one.planned);
            order.begun(one.planned);
            const {user, source, target} = one.planned;
            records.push(moveOf(user, source, target, 'copying', {id: `move-${records.length}`, createdAtMs: nowMs, updatedAtMs: nowMs}));
          }
        }
        const stuck = order.stuck(left);
        waiting = left.filter(one => !stuck.has(one));
        const running = records.filter(isUnderWay);
        const ends = running[which % Math.max(1, running.length)];
        if (ends !== undefined) {
          Object.assign(ends, {step: isWell ? 'retained' : 'backedOut', updatedAtMs: nowMs});
          if (isWell) truth.set(ends.user, ends.target);
          if (isHeard) for (const [user, host] of truth) heard.set(user, host);
        }
        expect(racksNow()).toBeGreaterThanOrEqual(least);
      }
      expect([waiting.length, records.filter(isUnderWay).length]).toEqual([0, 0]);
    }),
    {numRuns: 1_000, seed: SEED},
  );
});

test('a person may move whom he names; what passes is looked at anew', () => {
  const hosts = new Map([
    [`a@${DOMAIN}`, 'be0'],
    [`b@${DOMAIN}`, 'be1'],
  ]);
  const where: Whereabouts = {
    apart: new Map([[DOMAIN, 2]]),
    usersOf: () => [...hosts.keys()],
    hostOf: user => hosts.get(user) ?? null,
    rackOf,
  };
  const move: PlannedMove = {user: `a@${DOMAIN}`, source: 'be0', target: 'be4', bytes: 1, why: '', choice: CHOICE};
  const order = new DomainOrder(where, [], START_MS);
  const {choice: _, ...named} = move;
  expect([order.why(move), order.why({...move, target: 'be5'}), order.why(named)]).toEqual(['APART', null, null]);
  order.begun(named);
  expect(order.why({...move, target: 'be5'})).toBe('DOMAIN_MOVING');
  const away = moveOf(`b@${DOMAIN}`, 'be1', 'be2', 'backingOut', {attempts: 3});
  expect(new DomainOrder(where, [away], START_MS).why({...move, target: 'be5'})).toBeNull();
});
