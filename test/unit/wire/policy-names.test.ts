import {expect, test} from 'vitest';
import {patchPolicy} from '../../../cli/policy-patch.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import {nameInPolicy, strangeName} from '../../../wire/policy-names.ts';

test('every name of the policy is known, those that operators choose are free, typos are named', () => {
  const place = {...DEFAULT_POLICY.place, strengths: {'hardware=gen2': 2}, apart: [{domain: 'example.org', racks: 2}]};
  const policy = {...DEFAULT_POLICY, place, move: {...DEFAULT_POLICY.move, bytesPerSecondMax: 5_000}};
  expect(strangeName(policy, DEFAULT_POLICY)).toBeNull();
  expect(strangeName({...policy, modse: {}}, DEFAULT_POLICY)).toBe('/modse');
  expect(strangeName({...policy, judge: {...policy.judge, floors: {...policy.judge.floors, lmtpMs: 1}}}, DEFAULT_POLICY)).toBe(
    '/judge/floors/lmtpMs',
  );
  expect(strangeName({...policy, place: {...place, apart: [{domain: 'example.org', racks: 2, rakcs: 3}]}}, DEFAULT_POLICY)).toBe(
    '/place/apart/0/rakcs',
  );
  expect(strangeName({...policy, paused: {by: 'ada', atMs: 1, reason: '', until: 2}}, DEFAULT_POLICY)).toBe('/paused/until');
});

test('what a newer release has stored is let be', () => {
  const newer = {...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, heal: 'on'}};
  expect(strangeName(newer, newer)).toBeNull();
  expect(strangeName(newer, DEFAULT_POLICY)).toBe('/modes/heal');
});

test('what may be absent can be set by name, and taken away again', () => {
  expect(nameInPolicy(['move', 'bytesPerSecondMax'])).toEqual({isKnown: true, isOptional: true});
  expect(nameInPolicy(['move', 'holdMs'])).toEqual({isKnown: true, isOptional: false});
  expect(nameInPolicy(['move', 'constructor']).isKnown).toBe(false);
  const set = patchPolicy(DEFAULT_POLICY, ['move.bytesPerSecondMax=5000']);
  expect(set.move.bytesPerSecondMax).toBe(5_000);
  expect(patchPolicy(set, ['move.bytesPerSecondMax='])).toEqual(DEFAULT_POLICY);
  expect(() => patchPolicy(DEFAULT_POLICY, ['move.bytesPerSecond=5'])).toThrow(/the policy has no move.bytesPerSecond/);
});
