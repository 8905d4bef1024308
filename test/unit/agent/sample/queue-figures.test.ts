import {expect, test} from 'vitest';
import {followTrouble, queueBytesOf, queueFiguresOf} from '../../../../agent/sample/queue-figures.ts';
import type {QueueWalk} from '../../../../native/binding.ts';
import {parse} from '../../../../wire/codec.ts';
import {QueueFigures} from '../../../../wire/mail-figures.ts';

const WALK: QueueWalk = {
  maildrop: 0,
  incoming: 10,
  active: 500,
  deferred: 10_000,
  hold: 0,
  bytes: 1234.5,
  queueBytes: {maildrop: 0, incoming: null, active: 234.5, deferred: 1000, hold: 0},
  ageMsP50: 1,
  ageMsP95: 2,
  ageMsMax: 3,
  aged: 10_510,
  unaged: 0,
  foreign: 0,
  stuckIncoming: 2,
  directoryBytes: 70_000,
  directoryBytesMax: 20_000,
  buckets: 16,
  bucketMax: 1_250,
  directoriesKept: 0,
  directoriesFollowed: 16,
  changesHeard: 0,
  changesLost: false,
  listingsWrong: 0,
  followRefusal: null,
  corrupt: {messages: 2, bytes: 700},
  facts: {
    asked: 5_255,
    halfWritten: 1,
    forceExpire: 0,
    unthrottle: 0,
    scheduled: 1_000,
    due: 100,
    within1: 0,
    within5: 0,
    within15: 400,
    within60: 500,
    later: 0,
    herd: 300,
    herdInMs: 600_000,
  },
  samples: [],
  opened: 0,
  statCalls: 0,
  tookMs: 1,
  complete: true,
};

test('the schedule of some is projected onto all; shares and skew', () => {
  const figures = parse(QueueFigures, queueFiguresOf(WALK, 20_000, null), 'figures');
  expect(figures).toMatchObject({
    bytes: 1235,
    askedShare: 0.5,
    halfWritten: 1,
    stuckIncoming: 2,
    corrupt: {messages: 2, bytes: 700},
    activeShare: 0.025,
    retry: {due: 1_000, within1: 0, within15: 4_000, within60: 5_000, later: 0},
    herd: {messages: 3_000, inMs: 600_000},
    bucketSkew: 2,
  });
});

test('what nobody asked for is null, not zero', () => {
  const blind = {...WALK, facts: null, bytes: null, buckets: 0};
  expect(queueFiguresOf(blind, null, null)).toMatchObject({
    bytes: null,
    askedShare: null,
    halfWritten: null,
    forceExpire: null,
    activeShare: null,
    retry: null,
    herd: null,
    bucketSkew: null,
    destinations: null,
  });
});

test('an empty queue; a queue that is too small to be skewed; more in active than allowed', () => {
  const facts = {...(WALK.facts ?? (() => expect.fail())()), asked: 0, scheduled: 0, herd: 0, herdInMs: null};
  const empty = {...WALK, incoming: 0, active: 0, deferred: 0, facts};
  expect(queueFiguresOf(empty, 20_000, null)).toMatchObject({askedShare: null, retry: null, herd: null, activeShare: 0});
  expect(queueFiguresOf({...WALK, deferred: 20}, 400, null)).toMatchObject({bucketSkew: null, activeShare: 1});
});

test('bytes by queue: what is not known is left out as what is empty is, and the sum tells which', () => {
  expect(queueBytesOf(WALK)).toEqual({active: 235, deferred: 1000});
});

test('what is amiss with following the directories is said once, and a refusal for as long as it lasts', () => {
  expect(followTrouble(WALK, 0)).toBeNull();
  expect(followTrouble({...WALK, changesLost: true}, 0)).toBeNull();
  expect(followTrouble({...WALK, listingsWrong: 3}, 1)).toMatch(/^2 directories/);
  expect(followTrouble({...WALK, listingsWrong: 3}, 3)).toBeNull();
  expect(followTrouble({...WALK, followRefusal: 'ENOSPC'}, 0)).toMatch(/ENOSPC.*max_user_watches/);
});
