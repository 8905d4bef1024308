import type {EventData, EventType, FarmEvent} from '../../../../wire/event.ts';
import type {CohortVerdict, Hurt, Verdict} from '../../../../wire/record.ts';

export const T0 = 1_800_000_000_000;
export const MINUTE = 60_000;

export function at<T extends EventType>(minute: number, type: T, host: string | null, data: EventData<T>): FarmEvent {
  return {v: 1, id: `event-${minute}`, type, host, atMs: T0 + minute * MINUTE, data} as unknown as FarmEvent;
}
export const verdict = (host: string, kind: Verdict['kind']): Verdict => {
  const evidence = [{sli: 'deliveryMsP95', unit: 'ms', value: 60_000, baseline: 500, ratio: 120, note: ''}];
  return {
    host,
    kind,
    sinceMs: T0,
    because: kind === 'sick' ? 'SLI_WORSE_THAN_PEERS' : 'WITHIN_BOUNDS',
    evidence: kind === 'healthy' ? [] : evidence,
  };
};
export const turned = (minute: number, host: string, kind: Verdict['kind']): FarmEvent =>
  at(minute, 'verdictChanged', host, {from: null, verdict: verdict(host, kind)});
export const hurt = (minute: number, usersHurt: number): FarmEvent => {
  const data: Hurt = {
    atMs: T0 + minute * MINUTE,
    users: 100,
    usersHurt,
    share: usersHurt / 100,
    byHost: {},
    byCause: {'os=new': usersHurt},
  };
  return at(minute, 'hurtChanged', null, data);
};
export const cohort: CohortVerdict = {
  labels: {os: 'new'},
  confounded: ['hardware'],
  alternatives: [{hardware: 'gen11'}],
  sick: ['be4', 'be5'],
  members: ['be4', 'be5'],
  controls: ['be1', 'be2', 'be3'],
  controlsSick: 0,
  effect: 120,
  chance: 0.1,
  explained: true,
  sinceMs: T0,
  evidence: [],
};
export const moveStepped = (minute: number, step: string, pauseMs: number | null): FarmEvent =>
  at(minute, 'moveStepped', null, {moveId: 'move-0001', user: 'u', source: 'be4', target: 'be1', step, tookMs: 1, pauseMs, refusal: null});

/** A release falls sick on two hosts, both are emptied and come back. */
export const STORY: FarmEvent[] = [
  hurt(0, 0),
  turned(1, 'be4', 'suspect'),
  turned(2, 'be4', 'sick'),
  hurt(2, 8),
  turned(3, 'be5', 'sick'),
  at(4, 'cohortJudged', null, {cohort}),
  at(5, 'decided', 'be4', {
    decision: {kind: 'evacuate', host: 'be4', atMs: T0, because: 'SICK_COHORT os=new', evidence: [], vetoes: [], mode: 'approve'},
  }),
  moveStepped(6, 'retained', 900),
  moveStepped(7, 'backedOut', 5_000),
  hurt(12, 2),
  at(20, 'hostStaged', 'be4', {from: 'probation', to: 'active', reason: 'proved well', tookMs: 1}),
  hurt(22, 0),
  turned(30, 'be5', 'healthy'),
  turned(40, 'be5', 'healthy'),
];
