import {expect, test} from 'vitest';
import {renderWhatIf} from '../../../../cli/render-what-if.ts';
import {evacuationVetoes} from '../../../../coordinator/decision/veto.ts';
import {emptyFleet, type Fleet, fleetHost} from '../../../../coordinator/fleet.ts';
import {whatIf} from '../../../../coordinator/plan/what-if.ts';
import {WhatIfView} from '../../../../wire/api.ts';
import {fits} from '../../../../wire/codec.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {Verdict} from '../../../../wire/record.ts';
import {GIB, OLD, recordOf, reportOf, START_MS} from '../fleet-builder.ts';

/** Four hosts of 100 GiB, 15 of them reserve; two in rack r1, two in r2; so many mailboxes of so many GiB on each. */
function farm(mailboxes: number, gib: number): {fleet: Fleet; verdicts: Verdict[]} {
  const fleet = emptyFleet();
  const verdicts = ['be0', 'be1', 'be2', 'be3'].map((host, at): Verdict => {
    const record = recordOf(host, {...OLD, rack: at < 2 ? 'r1' : 'r2'});
    const mailStore = {totalBytes: 100 * GIB, freeBytes: (100 - mailboxes * gib) * GIB, freeInodes: null};
    fleet.hosts.set(host, {...fleetHost(record), reports: [reportOf(record, 1, START_MS, {mailStore})]});
    for (let n = 0; n < mailboxes; n++) {
      fleet.routes.set(`u${n}@${host}.example`, {host, generation: 1, moveId: null});
      fleet.mailboxes.set(`u${n}@${host}.example`, {bytes: gib * GIB, messages: 1});
    }
    return {host, kind: 'healthy', sinceMs: 0, because: '', evidence: []};
  });
  return {fleet, verdicts};
}

const ask = (wish: Parameters<typeof whatIf>[0], {fleet, verdicts} = farm(4, 10)): WhatIfView => {
  const view = whatIf(wish, {fleet, verdicts, cohorts: [], policy: DEFAULT_POLICY});
  expect(fits(WhatIfView, view)).toBe(true);
  return view;
};

test('a host less: it fits, and each mailbox knows why it goes there', () => {
  const view = ask({evacuate: ['be0']});
  expect(view).toMatchObject({fits: true, moves: 4, overfull: [], closed: {SELF: 1}});
  expect(view.account).toMatchObject({lack: null, after: {moved: 40 * GIB, stays: 0}, before: {moved: 0, stays: 40 * GIB}});
  expect(view.why).toHaveLength(4);
  for (const {target, code, others} of view.why) {
    expect(['be1', 'be2', 'be3']).toContain(target);
    expect(['LOWEST_LEVEL', 'NEARLY_LOWEST']).toContain(code);
    expect(others).toHaveLength(2);
  }
  expect(renderWhatIf(view, true, {colour: false, nowMs: 0})).toMatch(/It fits: 4 mailboxes[\s\S]*not be[123]: FULLER/);
});

test('a rack less: what lacks, and how many hosts would do', () => {
  // 85 GiB usable each, 70 used: two hosts have 30 left for 140, three mailboxes of 10.
  const view = ask({without: ['rack=r1']}, farm(7, 10));
  expect(view.fits).toBe(false);
  expect(view.account.lack).toMatchObject({
    mailboxes: 12,
    bytes: 120 * GIB,
    roomBytes: 30 * GIB,
    leftBytes: 10 * GIB,
    standardBytes: 85 * GIB,
  });
  expect(view.account.lack).toMatchObject({standardHosts: 2, largestBytes: 10 * GIB, largestRoomBytes: 5 * GIB});
  expect(ask({without: ['rack=r1'], add: 2}, farm(7, 10))).toMatchObject({fits: true, account: {lack: null}});
  expect(ask({without: ['rack=r1'], add: 1}, farm(7, 10)).fits).toBe(false);
  expect(renderWhatIf(view, false, {colour: false, nowMs: 0})).toMatch(/does not fit[\s\S]*12 mailboxes[\s\S]*2 more hosts/);
});

test('growth alone overfills hosts, and says which', () => {
  expect(ask({growth: 0.2})).toMatchObject({fits: true, moves: 0});
  const view = ask({growth: 1.5});
  expect(view.fits).toBe(false);
  expect(view.overfull).toHaveLength(4);
  expect(view.overfull[0]?.lackBytes).toBe(15 * GIB);
});

test('all hosts gone, a mailbox larger than any host, unknown names', () => {
  expect(ask({evacuate: ['be0', 'be1', 'be2', 'be3']})).toMatchObject({
    fits: false,
    moves: 0,
    account: {lack: {standardHosts: null, roomBytes: 0}},
  });
  const {fleet, verdicts} = farm(1, 10);
  fleet.mailboxes.set('u0@be0.example', {bytes: 500 * GIB, messages: 1});
  expect(ask({evacuate: ['be0']}, {fleet, verdicts}).account.lack).toMatchObject({
    mailboxes: 1,
    largestBytes: 500 * GIB,
    standardHosts: null,
  });
  expect(() => ask({evacuate: ['be9']})).toThrow(/HOST_UNKNOWN/);
  expect(() => ask({without: ['rack=r9']})).toThrow(/INPUT_INVALID/);
  expect(() => ask({without: ['rack']})).toThrow(/INPUT_INVALID/);
});

test('the refusal of an evacuation says how many hosts would do', () => {
  const {fleet, verdicts} = farm(7, 10);
  const [veto] = evacuationVetoes(['be0', 'be1'], {fleet, verdicts, cohorts: [], policy: DEFAULT_POLICY});
  expect(veto).toMatchObject({code: 'DOES_NOT_FIT', detail: {missingBytes: 110 * GIB, standardHosts: 2}});
});
