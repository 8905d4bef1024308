import {beforeEach, expect, test} from 'vitest';
import {MailherdError} from '../../../../base/errors.ts';
import {tuneView} from '../../../../coordinator/tune/hosts.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {Change, TuneReport} from '../../../../wire/tune.ts';
import {FakeFarm} from '../fake-farm.ts';
import {settle} from '../fakes.ts';

const ADVICE = 'fs.file-max=200';
let farm: FakeFarm;

function tuneOf(over: Partial<TuneReport> = {}): TuneReport {
  const advice = {
    id: ADVICE,
    level: 'automatic',
    knob: 'fs.file-max',
    from: '100',
    to: '200',
    because: 'LIMIT_NEAR',
    evidence: 'e',
    sinceMs: 1,
  } as const;
  return {mode: 'on', writer: null, values: {}, advice: [advice], inert: {}, changes: [], ended: [], retired: [], ...over};
}

function say(host: string, tune: TuneReport): void {
  const report = farm.picture.fleet.hosts.get(host)?.reports.at(-1);
  if (report !== undefined) report.tune = tune;
}

const change = (stage: Change['stage']): Change => {
  const atMs = farm.clock.now() - 1_000;
  return {knob: 'fs.file-max', old: '100', value: '200', adviceId: ADVICE, by: 'mailherd', reason: 'r', stage, atMs, effect: null};
};

async function look(mode: Policy['modes']['purge'] | undefined, over: Partial<Policy> = {}): Promise<void> {
  const {tune: _, ...modes} = DEFAULT_POLICY.modes;
  await farm.setPolicy({...DEFAULT_POLICY, modes: {...modes, ...(mode !== undefined && {tune: mode})}, ...over});
  farm.picture.judge([], [], farm.clock.now());
  await farm.tuning.look();
  await settle();
}

const commands = (): unknown[] => farm.commands.map(({host, verb, request}) => [host, verb, request]);
const lines = (): string[] => farm.lines.map(({by, action, subject, result}) => `${by} ${action} ${subject} ${result}`);

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  for (const host of ['be01', 'be02', 'be03']) {
    await farm.addHost(host, {labels: {os: 'debian-12'}});
    await farm.addUser(`${host}@example.org`, host);
  }
  await farm.rounds();
  for (const host of ['be01', 'be02', 'be03']) say(host, tuneOf());
});

test('on: one host is asked, with evidence in the audit log', async () => {
  await look('on');
  expect(commands()).toEqual([['be01', 'tune', {v: 1, token: 7, adviceId: ADVICE, by: 'mailherd', automatic: true}]]);
  expect(farm.lines).toMatchObject([
    {action: 'tune', subject: 'be01', detail: {what: ADVICE, because: 'CANARY', evidence: 'e'}, result: 'decided'},
  ]);
});

test.each(['off', 'dry-run', 'approve', undefined] as const)('%s: nobody is asked', async mode => {
  await look(mode);
  expect([commands(), lines()]).toEqual([[], []]);
});

test('paused: nobody is asked', async () => {
  await look('on', {modes: {...DEFAULT_POLICY.modes, tune: 'on'}, paused: {by: 'ada', atMs: 1, reason: 'lunch'}});
  expect(commands()).toEqual([]);
});

test('a refusal is written down and rests', async () => {
  farm.answer = () => {
    throw new MailherdError('TUNE_REFUSED', {code: 'NO_WRITER'});
  };
  await look('on');
  await look('on');
  expect(commands().length).toBe(1);
  expect(lines()).toEqual(['mailherd tune be01 decided', 'mailherd tune be01 failed']);
  await farm.clock.advance(300_000);
  await look('on');
  // Silent by now, as nobody reports in this farm but in rounds.
  await farm.rounds();
  for (const host of ['be01', 'be02', 'be03']) say(host, tuneOf());
  await look('on');
  expect(commands().length).toBe(2);
});

test('what hosts did is written down once, also on a person’s word and with the policy off', async () => {
  await look('off');
  say('be01', tuneOf({advice: [], changes: [{...change('guarded'), by: 'ada'}]}));
  await look('off');
  await look('off');
  const [made] = farm.picture.fleet.hosts.get('be01')?.reports.at(-1)?.tune?.changes ?? [];
  if (made === undefined) throw new Error('there is a change');
  say('be01', tuneOf({advice: [], changes: [{...made, stage: 'kept', effect: 'no harm'}]}));
  await look('off');
  const {knob, value, adviceId, atMs} = made;
  say('be01', tuneOf({advice: [], ended: [{knob, value, adviceId, outcome: 'released', because: 'somebody else wrote 5', atMs}]}));
  await look('off');
  expect(lines()).toEqual(['ada tune changed be01 ok', 'ada tune kept be01 ok', 'mailherd tune released be01 ok']);
});

test('values that a report leaves out are those of an earlier one', async () => {
  const {values: _, inert: __, ...rest} = tuneOf();
  const ofHost = () => tuneView(farm.picture, farm.clock.now()).hosts.find(({host}) => host === 'be01')?.tune;
  say('be01', rest);
  expect(ofHost()).toEqual(rest);
  say('be01', tuneOf({values: {'fs.file-max': '100'}, inert: {'fs.file-max': 'there is no limit'}}));
  await farm.rounds();
  say('be01', {...rest, mode: 'off'});
  expect(ofHost()).toEqual({...rest, mode: 'off', values: {'fs.file-max': '100'}, inert: {'fs.file-max': 'there is no limit'}});
});

test('a new leader does not write down again what it finds', async () => {
  say('be01', tuneOf({advice: [], changes: [change('kept')]}));
  await look('off');
  await look('off');
  expect(lines()).toEqual([]);
});

test('a person approves and takes back; an unknown host is refused', async () => {
  await farm.operator.tune('ada', 'be02', ADVICE);
  await farm.operator.untune('ada', 'be02', 'fs.file-max');
  expect(commands()).toEqual([
    ['be02', 'tune', {v: 1, token: 7, adviceId: ADVICE, by: 'ada', automatic: false}],
    ['be02', 'untune', {v: 1, token: 7, knob: 'fs.file-max', by: 'ada'}],
  ]);
  await expect(farm.operator.tune('ada', 'be99', ADVICE)).rejects.toThrow(expect.objectContaining({code: 'HOST_UNKNOWN'}));
});

test('the view tells of every host, and what the policy waits for', async () => {
  say('be01', tuneOf({changes: [change('measured')]}));
  await look('on');
  const view = farm.views.tune();
  expect(view).toMatchObject({
    mode: 'on',
    hosts: [{host: 'be01', tune: {changes: [{stage: 'measured'}]}}, {host: 'be02'}, {host: 'be03'}],
    waiting: [{knob: 'fs.file-max', kind: 'backend debian-12', code: 'CANARY_RUNS', host: null}],
  });
});

test('the budget of the farm holds for tuning too: nobody is tuned while too many hosts are out of service', async () => {
  await farm.keeper.happen('be03', {type: 'cordoned', by: 'ada', reason: 'memory'});
  const budget = {outShareMax: 1, changedShareMax: 0.5, windowMs: 3_600_000};
  await look('on', {budget});
  expect(commands()).toEqual([]);
  await look('on', {budget: {...budget, changedShareMax: 0.7}});
  expect(commands()).toHaveLength(1);
});
