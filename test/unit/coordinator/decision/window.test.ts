import {expect, test} from 'vitest';
import {windowVetoes} from '../../../../coordinator/decision/window.ts';
import {DEFAULT_POLICY, type Window} from '../../../../wire/policy.ts';
import {type Farm, fiveHosts, SICK} from '../fleet-builder.ts';

/** Tuesday, 2 January 2024, 10:00 UTC. */
const TUESDAY_MS = Date.UTC(2024, 0, 2, 10);
const HOUR_MS = 3_600_000;
const OFFICE: Window = {
  name: 'office hours',
  effect: 'never',
  kinds: ['rebalance', 'reinstall'],
  days: [1, 2, 3, 4, 5],
  from: '08:00',
  to: '18:00',
  utcOffsetMinutes: 60,
};
const NIGHT: Window = {...OFFICE, name: 'night', effect: 'only', kinds: ['evacuate'], days: [2], from: '22:00', to: '04:00'};
const at = (hours: number, windows: Window[], kind: Window['kinds'][number]): boolean =>
  windowVetoes(kind, {...DEFAULT_POLICY, windows}, TUESDAY_MS + hours * HOUR_MS).length === 0;

test('without windows every hour will do', () => {
  expect(at(0, [], 'evacuate')).toBe(true);
  expect(windowVetoes('evacuate', {}, TUESDAY_MS)).toEqual([]);
});

test('hours that forbid: in local time, on their days, for their kinds', () => {
  expect(at(0, [OFFICE], 'rebalance')).toBe(false);
  expect(at(0, [OFFICE], 'evacuate')).toBe(true);
  // 17:59 and 18:00 where the farm is
  expect(at(7 - 1 / 60, [OFFICE], 'reinstall')).toBe(false);
  expect(at(7, [OFFICE], 'reinstall')).toBe(true);
  expect(at(4 * 24, [OFFICE], 'rebalance')).toBe(true);
});

test('hours that allow, past midnight: they belong to the day on which they begin', () => {
  expect(at(0, [NIGHT], 'evacuate')).toBe(false);
  expect(at(11, [NIGHT], 'evacuate')).toBe(true);
  expect(at(16.9, [NIGHT], 'evacuate')).toBe(true);
  expect(at(17, [NIGHT], 'evacuate')).toBe(false);
  expect(at(35, [NIGHT], 'evacuate')).toBe(false);
  expect(windowVetoes('evacuate', {...DEFAULT_POLICY, windows: [NIGHT]}, TUESDAY_MS)[0]).toEqual({
    code: 'WINDOW_CLOSED',
    detail: {name: 'night', effect: 'only'},
  });
});

test('dates: on these days alone, the last one included, a night that begins on it as well', () => {
  const days = [0, 1, 2, 3, 4, 5, 6];
  const freeze: Window = {...OFFICE, effect: 'never', kinds: ['reinstall'], days, from: '00:00', to: '00:00', utcOffsetMinutes: 0};
  const dated: Window = {...freeze, dates: {from: '2024-01-03', to: '2024-01-04'}};
  // Tuesday 10:00; the third begins 14 hours later, the fourth ends after 62.
  expect([0, 13.9, 14, 61.9, 62, 100].map(hours => at(hours, [dated], 'reinstall'))).toEqual([true, true, false, false, true, true]);
  const night = {...dated, from: '22:00', to: '04:00'};
  expect([30, 36, 60, 65.9, 66].map(hours => at(hours, [night], 'reinstall'))).toEqual([true, false, false, false, true]);
  // Its days of the week count within them.
  expect(at(20, [{...dated, days: [4]}], 'reinstall')).toBe(true);
  expect(at(400, [freeze], 'reinstall')).toBe(false);
});

test('a decision outside its hours is shown with its veto; what has no hours goes on', () => {
  const farm = fiveHosts();
  const day = [0, 1, 2, 3, 4, 5, 6];
  farm.policy = {...farm.policy, windows: [{...OFFICE, effect: 'never', kinds: ['evacuate'], days: day, from: '00:00', to: '23:59'}]};
  farm.pass(200);
  const {decisions} = farm.pass(120, {be4: SICK, be5: SICK});
  const vetoes = (kind: string): string[] => decisions.filter(d => d.kind === kind).flatMap(d => d.vetoes.map(({code}) => code));
  expect(vetoes('evacuate')).toEqual(['WINDOW_CLOSED', 'WINDOW_CLOSED']);
  expect(decisions.filter(({kind}) => kind === 'cordon')).toHaveLength(2);
  expect(vetoes('cordon')).toEqual([]);
});

test('who is suspect is shown and a person is called in the mode that the policy says, or not at all', () => {
  const shown = (modes: object): [string, string | null, string][] => {
    const farm = fiveHosts();
    farm.policy = {...farm.policy, modes: {...farm.policy.modes, ...modes}};
    farm.pass(200);
    farm.pass(70, {be2: null});
    const {decisions} = farm.pass(30, {be1: SICK, be2: null});
    return decisions.filter(({kind}) => kind === 'watch' || kind === 'page').map(({kind, host, mode}) => [kind, host, mode]);
  };
  const both = (watch: string, page: string): [string, string | null, string][] => [
    ['page', 'be2', page],
    ['watch', 'be1', watch],
  ];
  expect(shown({})).toEqual(both('on', 'on'));
  expect(shown({watch: 'dry-run', page: 'approve'})).toEqual(both('dry-run', 'approve'));
  expect(shown({watch: 'off', page: 'off'})).toEqual([]);
});

test('a host that a person took back is left alone', () => {
  const farm: Farm = fiveHosts();
  farm.pass(200);
  farm.change('be4', {kept: {by: 'ada', atMs: farm.nowMs}});
  const {decisions} = farm.pass(120, {be4: SICK, be5: SICK});
  const codes = (host: string): string[] => decisions.filter(d => d.host === host).flatMap(d => d.vetoes.map(({code}) => code));
  expect(codes('be4')).toEqual(['KEPT_BY_PERSON', 'KEPT_BY_PERSON']);
  expect(codes('be5')).toEqual([]);
});
