import {expect, test} from 'vitest';
import {renderTune} from '../../../cli/render-tune.ts';
import {parse} from '../../../wire/codec.ts';
import {TuneView} from '../../../wire/tune.ts';

const LOOK = {colour: false, nowMs: 0};
const VIEW = parse(
  TuneView,
  {
    mode: 'on',
    hosts: [
      {
        host: 'be01',
        tune: {
          mode: 'on',
          writer: null,
          values: {'fs.file-max': '200'},
          advice: [
            {
              id: 'net.core.netdev_max_backlog=1250',
              level: 'automatic',
              knob: 'net.core.netdev_max_backlog',
              from: '1000',
              to: '1250',
              because: 'SOFTNET_DROPS',
              evidence: '2.0 packets a second dropped',
              sinceMs: 1,
            },
          ],
          inert: {'net.core.somaxconn': 'smtp :25 has a backlog of its own'},
          changes: [
            {
              knob: 'fs.file-max',
              old: '100',
              value: '200',
              adviceId: 'fs.file-max=200',
              by: 'ada',
              reason: 'LIMIT_NEAR: 90',
              stage: 'kept',
              atMs: 0,
              effect: 'no harm',
            },
          ],
          ended: [
            {knob: 'vm.dirty', value: '268435456', adviceId: 'vm.dirty=268435456', outcome: 'undone', because: 'it did not help', atMs: 0},
          ],
          retired: [],
        },
      },
      {
        host: 'be02',
        tune: {mode: 'advise', writer: 'connect ENOENT', values: {}, advice: [], inert: {}, changes: [], ended: [], retired: []},
      },
      {host: 'be03', tune: null},
    ],
    waiting: [{knob: 'fs.file-max', kind: 'backend debian-12', code: 'CANARY_YOUNG', host: null}],
  },
  'view',
);

test('advice, changes, what was given back, what waits', () => {
  expect(renderTune(VIEW, null, LOOK)).toBe(
    `Policy for the farm: on.

Advice
HOST  ADVICE                            WHO        NOW   WHY            MEASURED
be01  net.core.netdev_max_backlog=1250  automatic  1000  SOFTNET_DROPS  2.0 packets a second dropped

Changed
HOST  KNOB         FROM  TO   STATE          SINCE                 BY   WHY
be01  fs.file-max  100   200  kept: no harm  1970-01-01 00:00:00Z  ada  LIMIT_NEAR: 90

Given back
HOST  KNOB      VALUE      HOW     AT                    WHY
be01  vm.dirty  268435456  undone  1970-01-01 00:00:00Z  it did not help

Would change nothing
HOST  KNOB                WHY
be01  net.core.somaxconn  smtp :25 has a backlog of its own

The policy waits
KNOB         ON                 FOR           HOST
fs.file-max  backend debian-12  CANARY_YOUNG  -

be02 cannot write: connect ENOENT

Nothing is known of: be03`,
  );
});

test('one host only', () => {
  expect(renderTune({...VIEW, mode: 'approve'}, 'be02', LOOK)).toBe('Policy for the farm: approve.\n\nbe02 cannot write: connect ENOENT');
});
