import {MINUTE_MS} from '../../base/units.ts';
import type {CohortVerdict, Verdict} from '../../wire/record.ts';
import type {FaultName} from '../fault/catalog.ts';
import {type Layout, makeLayout} from '../layout.ts';

/** A farm of its own: three hosts of one release, two of the other; only the release divides them that way. */
const FARM = makeLayout('mhfarm5', '10.213.75', 4, [
  {name: 'jdctl', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
  {name: 'jdedge', role: 'edge', release: 'bookworm', last: 11, labels: {}, isSpare: false},
  {name: 'jd1', role: 'backend', release: 'bookworm', last: 21, labels: {rack: 'r1', hardware: 'gen9'}, isSpare: false},
  {name: 'jd2', role: 'backend', release: 'bookworm', last: 22, labels: {rack: 'r2', hardware: 'gen9'}, isSpare: false},
  {name: 'jd3', role: 'backend', release: 'bookworm', last: 23, labels: {rack: 'r2', hardware: 'gen11'}, isSpare: false},
  {name: 'jd4', role: 'backend', release: 'trixie', last: 24, labels: {rack: 'r1', hardware: 'gen11'}, isSpare: false},
  {name: 'jd5', role: 'backend', release: 'trixie', last: 25, labels: {rack: 'r2', hardware: 'gen11'}, isSpare: false},
]);
/** Sizes are asked for as seldom as on a real farm: what that costs a host with 2 % of a processor would hide what the fault does. */
export const VERDICT_LAYOUT: Layout = {...FARM, sizesMs: 10 * MINUTE_MS};

export const SCOPES = {host: ['jd1'], cohort: ['jd4', 'jd5'], all: ['jd1', 'jd2', 'jd3', 'jd4', 'jd5']} as const;
export type Scope = keyof typeof SCOPES;
const COHORT_LABEL = 'os';

/** A fault, how strong, and what is right to say of a host that has it: users suffer, or it says nothing any more. */
export interface TrialFault {
  fault: FaultName;
  value?: string;
  right: 'sick' | 'silent';
}

/** Faults that are felt within a minute or two even where there is little mail: the agents' probes are users too. */
export const TRIAL_FAULTS: Readonly<Record<string, TrialFault>> = {
  'slow-fsync': {fault: 'slow-fsync', value: '8000', right: 'sick'},
  'bad-release': {fault: 'bad-release', value: '8000', right: 'sick'},
  'cpu-throttle': {fault: 'cpu-throttle', value: '2', right: 'sick'},
  'disk-full': {fault: 'disk-full', right: 'sick'},
  'frozen-dovecot': {fault: 'freeze-service', value: 'dovecot', right: 'sick'},
  'dead-dovecot': {fault: 'kill-service', value: 'dovecot', right: 'sick'},
  'dead-postfix': {fault: 'kill-service', value: 'postfix', right: 'sick'},
  'frozen-host': {fault: 'freeze-host', right: 'silent'},
  'power-off': {fault: 'power-off', right: 'silent'},
  cut: {fault: 'cut', value: 'all', right: 'silent'},
};

export interface Trial {
  name: string;
  scope: Scope;
}

export const trialName = ({name, scope}: Trial): string => `${name}/${scope}`;

/** Every fault on one host, on a cohort, on everything. @param only FAULT/SCOPE, either may be left out; null = all. */
export function selectTrials(only: string | null): Trial[] {
  const wanted = only === null ? [''] : only.split(',');
  const all = Object.keys(TRIAL_FAULTS).flatMap(name => (Object.keys(SCOPES) as Scope[]).map((scope): Trial => ({name, scope})));
  return all.filter(trial =>
    wanted.some(text => {
      const [name = '', scope = ''] = text.split('/');
      return (name === '' || name === trial.name) && (scope === '' || scope === trial.scope);
    }),
  );
}

/** What the coordinator says at a moment. */
export interface Said {
  verdicts: readonly Verdict[];
  cohorts: readonly CohortVerdict[];
}

/** What is not (yet) as it should be said of a fault on some hosts; empty = the right verdict. Not of `all`: there silence is right. */
export function missing({name, scope}: Trial, {verdicts, cohorts}: Said): string[] {
  const right = TRIAL_FAULTS[name]?.right ?? 'sick';
  const found = SCOPES[scope].filter(host => verdicts.find(verdict => verdict.host === host)?.kind !== right);
  const complaints = found.map(host => `${host} is not called ${right}`);
  if (scope === 'cohort' && right === 'sick') {
    const isNamed = cohorts.some(({explained, labels, confounded}) => {
      return explained && (labels[COHORT_LABEL] !== undefined || confounded.includes(COHORT_LABEL));
    });
    if (!isNamed) complaints.push('the release is not named');
  }
  return complaints;
}

/** Who is blamed that has nothing, or, where everybody has it, who is blamed at all; and labels that explain what they cannot. */
export function wrong({scope}: Trial, {verdicts, cohorts}: Said): string[] {
  const guilty: readonly string[] = scope === 'all' ? [] : SCOPES[scope];
  const blamed = verdicts.filter(({host, kind}) => kind === 'sick' && !guilty.includes(host)).map(({host}) => `${host} is called sick`);
  const explained = scope === 'cohort' ? [] : cohorts.filter(cohort => cohort.explained && cohort.members.length > 1);
  return [...blamed, ...explained.map(({labels}) => `${JSON.stringify(labels)} is blamed`)];
}
