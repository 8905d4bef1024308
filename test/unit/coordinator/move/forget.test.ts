import {expect, test} from 'vitest';
import {DAY_MS} from '../../../../base/units.ts';
import {forgettable} from '../../../../coordinator/move/forget.ts';
import type {MoveRecord} from '../../../../wire/record.ts';
import {moveOf, START_MS} from '../fleet-builder.ts';

const record = (id: string, step: MoveRecord['step'], ageDays: number, change: Partial<MoveRecord> = {}): MoveRecord =>
  moveOf('a@d.example', 'be1', 'be2', step, {id, updatedAtMs: START_MS - ageDays * DAY_MS, ...change});
const forgotten = (records: MoveRecord[], keptMax?: number): string[] => forgettable(records, START_MS, keptMax).map(({id}) => id);

test('what left something somewhere is never forgotten, however old', () => {
  const old = [
    record('retained', 'retained', 400),
    record('purging', 'purging', 400),
    record('backing out', 'backingOut', 400),
    record('left on a silent target', 'backedOut', 400, {isLeftOnTarget: true}),
  ];
  expect(forgotten(old, 0)).toEqual([]);
});

test('what is over goes after a month, or when too many newer ones are over', () => {
  const records = [
    record('last month', 'purged', 30),
    record('yesterday', 'purged', 1),
    record('today', 'backedOut', 0),
    record('last week', 'backedOut', 7),
  ];
  expect(forgotten(records)).toEqual(['last month']);
  expect(forgotten(records, 2)).toEqual(['last week', 'last month']);
});
