import {expect, test} from 'vitest';
import {Histogram} from '../../../../base/histogram.ts';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import {STAGE_TABLE, type StageName, stagesOf} from '../../../../coordinator/health/stages.ts';
import type {DeliveryFigures} from '../../../../wire/mail-figures.ts';
import {countedBy, Farm, NEW, OLD, type ReportChange, recordOf, reportOf} from '../fleet-builder.ts';

type Part = keyof DeliveryFigures['delays'];

/** Twenty deliveries of an interval: so many milliseconds in each part; `slow` of them take `slowMs` in `part` instead. */
function tried(transport: string, part: Part, slow: number, slowMs: number, change: Partial<DeliveryFigures> = {}): DeliveryFigures {
  const delays = Object.fromEntries(
    (['before', 'queued', 'connecting', 'sending'] as const).map(name => {
      const histogram = new Histogram();
      histogram.add(20_000, 20 - (name === part ? slow : 0));
      if (name === part) histogram.add(slowMs * 1000, slow);
      return [name, histogram.pack()];
    }),
  ) as DeliveryFigures['delays'];
  return {transport, destination: 'other', sent: 20, deferred: 0, bounced: 0, other: 0, dsn: {}, delays, ...change};
}

function reportWith(deliveries: DeliveryFigures[], slis: ReportChange['slis'] = {}): ReportChange {
  return {mailFigures: {...countedBy({}), log: {deliveries, ends: {}, screened: {}, limits: []}}, slis};
}

const usual = reportWith([tried('lmtp', 'before', 0, 0)]);

/** Ten hosts, the first two of a new release; what two of them and all others report from some time on. */
function judged(change: ReportChange, of: readonly string[] = ['be0', 'be1'], others: ReportChange = usual): FlowOutcome {
  const farm = new Farm();
  for (let index = 0; index < 10; index++) farm.add(recordOf(`be${index}`, index < 2 ? NEW : OLD), 12);
  const weather = (own: ReportChange, rest: ReportChange): Record<string, ReportChange> =>
    Object.fromEntries([...farm.fleet.hosts.keys()].map(host => [host, of.includes(host) ? own : rest]));
  farm.pass(400, weather(usual, usual));
  return farm.pass(120, weather(change, others));
}

test.each(STAGE_TABLE)('$stage is named where it is what makes deliveries slow, on the hosts and their release', ({stage, part}) => {
  const {verdicts, cohorts} = judged(reportWith([tried('lmtp', part, 18, 20_000)], {deliveryMsP95: 21_000}));
  expect(verdicts.filter(({kind}) => kind === 'sick').map(({host}) => host)).toEqual(['be0', 'be1']);
  const told = verdicts[0]?.evidence.find(({explains}) => explains);
  expect(told).toMatchObject({sli: stage, unit: 'ms', note: expect.stringMatching(/\w/)});
  expect(told?.value).toBeGreaterThan(10_000);
  expect(told?.baseline).toBeLessThan(50);
  expect(cohorts[0]?.evidence.filter(({explains}) => explains)).toMatchObject([{sli: stage, note: 'on 2 of 2'}]);
});

test('of two slow stages the slower one is told, and none where all hosts need as long', () => {
  const both = [tried('lmtp', 'queued', 18, 8_000), tried('lmtp', 'sending', 18, 30_000)];
  expect(judged(reportWith(both, {deliveryMsP95: 40_000})).verdicts[0]?.evidence.filter(({explains}) => explains)).toMatchObject([
    {sli: 'stageSendingMs'},
  ]);
  const all = reportWith([tried('lmtp', 'sending', 18, 20_000)]);
  const {evidence} = judged(reportWith([tried('lmtp', 'sending', 18, 20_000)], {deliveryMsP95: 60_000}), ['be0'], all).verdicts[0] ?? {
    evidence: [],
  };
  expect(evidence.filter(({explains}) => explains)).toEqual([]);
  expect(evidence[0]?.sli).toBe('deliveryMsP95');
});

test('stages are of deliveries to mailboxes: mail for the outside is not in them, and nothing tried is null', () => {
  const record = recordOf('be0', OLD);
  const of = (rows: DeliveryFigures[]): ReturnType<typeof stagesOf> => stagesOf([reportOf(record, 1, 1, reportWith(rows))]);
  const none: Record<StageName, null> = {stageBeforeMs: null, stageQueuedMs: null, stageConnectingMs: null, stageSendingMs: null};
  expect(of([])).toEqual({ms: none, beforeMsP50: null, attempts: 0, deferred: 0});
  expect(of([tried('smtp', 'sending', 20, 300_000)])).toEqual({ms: none, beforeMsP50: null, attempts: 0, deferred: 0});
  expect(of([tried('lmtp-in', 'sending', 20, 9_000), tried('smtp', 'sending', 20, 300_000)]).ms.stageSendingMs).toBeLessThan(17_000);
  expect(stagesOf([reportOf(record, 1, 1, {mailFigures: null}), reportOf(record, 2, 2, {})]).attempts).toBe(0);
});

test('what the outside world refuses, or takes slowly, makes no host sick and none suspect', () => {
  const outside = [
    tried('lmtp', 'before', 0, 0),
    tried('smtp', 'sending', 20, 290_000, {destination: 'google', sent: 1, deferred: 400, dsn: {'4.7.28': 400}}),
    tried('smtp', 'connecting', 20, 30_000, {sent: 0, deferred: 900, dsn: {'4.4.1': 900}}),
  ];
  const queue = {maildrop: 0, incoming: 0, active: 40, deferred: 90_000, hold: 0, complete: true};
  const {verdicts, decisions} = judged({...reportWith(outside), queue});
  expect(verdicts.map(({kind}) => kind)).not.toContain('sick');
  expect(verdicts.map(({kind}) => kind)).not.toContain('suspect');
  expect(decisions).toEqual([]);
});

test('a few senders that bring their mail slowly make no host sick; what holds up most mails before the queue manager does', () => {
  const few = judged(reportWith([tried('lmtp', 'before', 3, 40_000)], {deliveryMsP95: 40_000}), ['be0']);
  expect(few.verdicts[0]).toMatchObject({kind: 'suspect', because: 'SLOW_SENDERS'});
  expect(few.verdicts[0]?.evidence.map(({sli}) => sli)).toEqual(['deliveryMsP95', 'stageBeforeMs']);
  expect(few.decisions.map(({kind}) => kind)).toEqual(['watch']);
  const kindOf = (rows: DeliveryFigures, slis: ReportChange['slis'] = {}): string | undefined =>
    judged(reportWith([rows], {deliveryMsP95: 40_000, ...slis}), ['be0']).verdicts[0]?.kind;
  expect(kindOf(tried('lmtp', 'before', 15, 40_000))).toBe('sick');
  // The host's own mail is late as well; what is tried again and again; a slow stage behind it.
  expect(kindOf(tried('lmtp', 'before', 3, 40_000), {probeDeliveryMs: 9_000})).toBe('sick');
  expect(kindOf(tried('lmtp', 'before', 3, 40_000), {probeFailureShare: 0.6})).toBe('sick');
  expect(kindOf(tried('lmtp', 'before', 3, 40_000), {probeDeliveryMs: null})).toBe('sick');
  expect(kindOf(tried('lmtp', 'before', 3, 40_000, {deferred: 4}))).toBe('sick');
  expect(kindOf(tried('lmtp', 'sending', 3, 40_000))).toBe('sick');
});
