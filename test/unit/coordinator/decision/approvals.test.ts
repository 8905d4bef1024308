import {expect, test} from 'vitest';
import {Approvals} from '../../../../coordinator/decision/approvals.ts';
import type {Decision} from '../../../../wire/record.ts';

const decided = (kind: Decision['kind'], host: string | null, change: Partial<Decision> = {}): Decision => {
  return {kind, host, atMs: 0, because: 'SICK_ALONE', evidence: [], vetoes: [], mode: 'approve', ...change};
};
const modes = (decisions: readonly Decision[]): string[] => decisions.map(({host, mode}) => `${host} ${mode}`);

test('what was approved is carried out, and nothing else of its kind', () => {
  const round = [decided('evacuate', 'be1'), decided('evacuate', 'be2'), decided('cordon', 'be1')];
  const approvals = new Approvals();
  expect(approvals.approve({kind: 'evacuate', host: 'be1'}, round)).toBe(round[0]);
  expect(modes(approvals.apply(round))).toEqual(['be1 on', 'be2 approve', 'be1 approve']);
  expect(modes(approvals.apply(round))).toEqual(['be1 on', 'be2 approve', 'be1 approve']);
});

test('an approval ends with what it was given for', () => {
  const round = [decided('rebalance', null)];
  const approvals = new Approvals();
  approvals.approve({kind: 'rebalance', host: null}, round);
  expect(modes(approvals.apply(round))).toEqual(['null on']);
  expect(approvals.apply([])).toEqual([]);
  expect(modes(approvals.apply(round))).toEqual(['null approve']);
});

test('nobody approves what is not proposed, is stopped, or is done anyway', () => {
  const veto = {code: 'PAUSED', detail: {by: 'ada'}} as const;
  const round = [
    decided('evacuate', 'be1', {vetoes: [veto]}),
    decided('drain', 'be2', {mode: 'dry-run'}),
    decided('cordon', 'be3', {mode: 'on'}),
  ];
  const approvals = new Approvals();
  const approve =
    (kind: Decision['kind'], host: string): (() => unknown) =>
    () =>
      approvals.approve({kind, host}, round);
  expect(approve('evacuate', 'be1')).toThrow(
    expect.objectContaining({code: 'DECISION_VETOED', detail: {kind: 'evacuate', host: 'be1', vetoes: [veto]}}),
  );
  expect(approve('evacuate', 'be9')).toThrow(expect.objectContaining({code: 'DECISION_UNKNOWN'}));
  expect(approve('drain', 'be2')).toThrow(expect.objectContaining({code: 'DECISION_UNKNOWN'}));
  expect(approve('cordon', 'be3')).toThrow(expect.objectContaining({code: 'DECISION_UNKNOWN'}));
  expect(modes(approvals.apply(round))).toEqual(['be1 approve', 'be2 dry-run', 'be3 on']);
});

test('a brake that comes after the approval stops it all the same', () => {
  const approvals = new Approvals();
  approvals.approve({kind: 'evacuate', host: 'be1'}, [decided('evacuate', 'be1')]);
  const [held] = approvals.apply([decided('evacuate', 'be1', {vetoes: [{code: 'DOES_NOT_FIT', detail: {}}]})]);
  expect(held?.vetoes).toHaveLength(1);
});
