import {appendFileSync, existsSync, mkdirSync, readFileSync, rmSync} from 'node:fs';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import {PolicyView, VerdictsView} from '../../wire/api.ts';
import {decode} from '../../wire/codec.ts';
import {DEFAULT_POLICY} from '../../wire/policy.ts';
import {type ApiAccess, call} from '../api.io.ts';
import {apiAccess, enrolAll} from '../enrol.io.ts';
import {type Farm, up} from '../farm.io.ts';
import {startFault, stopFaults} from '../fault/act.io.ts';
import type {Paths} from '../paths.ts';
import {QUIET, writeRate} from '../traffic/rate.io.ts';
import {runTraffic} from '../traffic/run.io.ts';
import {missing, type Said, SCOPES, TRIAL_FAULTS, type Trial, trialName, wrong} from './cases.ts';
import {TrialResult} from './results.ts';

const LOOK_MS = 2_000;
const WELL_MS: Millis = 240_000;
/** Twice what the slowest figure needs to be felt for a whole window. */
const SEEN_MS: Millis = 180_000;
/** What is said must stay right for so long. */
const STAYS_MS: Millis = 20_000;

const file = (paths: Paths): string => `${paths.run}/verdicts.jsonl`;

/** The newest result of each trial. @throws MailherdError INPUT_INVALID for a damaged line. */
export function readTrials(paths: Paths): TrialResult[] {
  if (!existsSync(file(paths))) return [];
  const lines = readFileSync(file(paths), 'utf8').split('\n').filter(Boolean);
  const results = lines.map((line, index) => decode(TrialResult, line, `${file(paths)}:${index + 1}`));
  return [...new Map(results.map(result => [result.trial, result])).values()];
}

export function forgetTrials(paths: Paths): void {
  rmSync(file(paths), {force: true});
}

/** Brings up the farm, unless it runs. Everything is judged and decided, and nothing is carried out. */
export async function prepareTrials(farm: Farm, deb: string): Promise<ApiAccess> {
  await up(farm, {deb, isFilled: true});
  await stopFaults(farm.paths, farm.layout, null, null);
  await enrolAll(farm);
  const access = await apiAccess(farm);
  const {policy, revision} = await call(access, 'GET', '/v1/policy', PolicyView);
  const modes = {cordon: 'dry-run', evacuate: 'dry-run', reinstall: 'dry-run', rebalance: 'off', purge: 'off', tune: 'off'} as const;
  // As a farm is judged by default, but for the waits before and after.
  const judge = {...DEFAULT_POLICY.judge, warmUpMs: 15_000, recoverDwellMs: 30_000};
  await call(access, 'PUT', '/v1/policy', PolicyView, {policy: {...policy, modes, judge}, revision});
  return access;
}

/** Runs trials one after the other, under mail; each result is stored before the next begins. */
export async function runTrials(farm: Farm, access: ApiAccess, trials: readonly Trial[]): Promise<TrialResult[]> {
  const end = new AbortController();
  writeRate(farm.paths, QUIET);
  const traffic = runTraffic(farm.paths, farm.layout, end.signal);
  const results: TrialResult[] = [];
  try {
    for (const trial of trials) {
      const result = await runTrial(farm, access, trial);
      mkdirSync(farm.paths.run, {recursive: true});
      appendFileSync(file(farm.paths), `${JSON.stringify(result)}\n`);
      results.push(result);
      const verdict = result.violations.length === 0 ? 'ok' : `VIOLATED: ${result.violations.join('; ')}`;
      farm.say(`${results.length}/${trials.length} ${result.trial}: ${result.said}, ${verdict}`);
    }
  } finally {
    end.abort();
    await traffic;
  }
  return results;
}

async function runTrial(farm: Farm, access: ApiAccess, trial: Trial): Promise<TrialResult> {
  const {paths, layout} = farm;
  const {fault, value} = TRIAL_FAULTS[trial.name] ?? {fault: 'slow-fsync' as const};
  const say = (): Promise<Said> => call(access, 'GET', '/v1/verdicts', VerdictsView);
  await untilWell(say);
  const startedMs = systemClock.monotonic();
  try {
    for (const host of SCOPES[trial.scope]) await startFault(paths, layout, fault, host, value);
    return await watchTrial(trial, say, startedMs);
  } finally {
    await stopFaults(paths, layout, null, null);
  }
}

/** Watches what is said until it is right and stays so; where everybody has the fault, for the whole time. */
async function watchTrial(trial: Trial, say: () => Promise<Said>, startedMs: number): Promise<TrialResult> {
  const violations = new Set<string>();
  let [seconds, said]: [number | null, Said] = [null, {verdicts: [], cohorts: []}];
  for (let untilMs = startedMs + SEEN_MS; systemClock.monotonic() < untilMs; await systemClock.sleep(LOOK_MS)) {
    said = await say();
    for (const complaint of wrong(trial, said)) violations.add(complaint);
    if (trial.scope === 'all' || seconds !== null || missing(trial, said).length > 0) continue;
    seconds = Math.round((systemClock.monotonic() - startedMs) / 1_000);
    untilMs = systemClock.monotonic() + STAYS_MS;
  }
  if (trial.scope !== 'all' && seconds === null) for (const complaint of missing(trial, said)) violations.add(complaint);
  const told = said.verdicts.filter(({kind}) => kind !== 'healthy').map(({host, kind, because}) => `${host} ${kind} (${because})`);
  const causes = said.cohorts.filter(({explained}) => explained).map(({labels}) => JSON.stringify(labels));
  return {
    v: 1,
    trial: trialName(trial),
    atMs: systemClock.now(),
    seconds,
    said: [...told, ...causes].join(', '),
    violations: [...violations],
  };
}

/** Reasons of suspects that nothing is left on of the trial before. */
const AT_EASE: ReadonlySet<string> = new Set(['RECOVERING', 'WORSE_NOT_FELT', 'KERNEL_ONLY']);

/**
 * Until no host shows anything of the trial before: what still waits in its queue would be blamed on it in the next. On a busy machine a suspect
 * may stay one. @throws MailherdError HOST_STATE when hosts do not get well in time.
 */
async function untilWell(say: () => Promise<Said>): Promise<void> {
  const endMs = systemClock.monotonic() + WELL_MS;
  for (;;) {
    const found = (await say()).verdicts.filter(({host, kind}) => SCOPES.all.some(name => name === host) && kind !== 'healthy');
    if (found.every(({kind, because}) => kind === 'suspect' && AT_EASE.has(because))) return;
    const ill = found.filter(({kind}) => kind !== 'suspect');
    if (systemClock.monotonic() > endMs) {
      if (ill.length === 0) return;
      throw new MailherdError('HOST_STATE', {reason: ill.map(({host, kind, because}) => `${host} is ${kind} (${because})`).join('; ')});
    }
    await systemClock.sleep(LOOK_MS);
  }
}
