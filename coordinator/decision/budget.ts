import type {Instant} from '../../base/units.ts';
import {budgetOf, type Policy} from '../../wire/policy.ts';
import type {Decision, HostStage, Veto} from '../../wire/record.ts';
import type {Fleet, FleetHost} from '../fleet.ts';
import {isUnderWay} from '../move/budget.ts';
import {SHARES_SICK_COHORT} from './situation.ts';

/** Out of service: takes nobody, and gives its own away or has none. */
const OUT: ReadonlySet<HostStage> = new Set(['draining', 'drained', 'safeToWipe', 'reinstalling', 'failed']);
/** Decisions that take a host out of service; the first two are for the sick, and are not held up by what is merely an improvement. */
const TAKES_OUT: ReadonlySet<Decision['kind']> = new Set(['cordon', 'evacuate', 'drain']);
const URGENT: ReadonlySet<Decision['kind']> = new Set(['cordon', 'evacuate']);
/** Decisions that change a host which the farm goes on using. */
const CHANGES: ReadonlySet<Decision['kind']> = new Set(['drain', 'queue-relief', 'rebalance']);
/** What stands first gets the budget first; to empty a host takes it out as well, so that its cordon costs nothing more. */
const ORDER: readonly Decision['kind'][] = ['page', 'watch', 'evacuate', 'cordon', 'queue-relief', 'reinstall', 'drain', 'rebalance'];

/** Shares are sums of fractions. */
const ROUNDING = 1e-9;

/** Backends that something is being done to, and what they carry. */
export interface Spending {
  backends: readonly string[];
  /** Out of service now. */
  out: Set<string>;
  /** Out of service now, or taken out during the window. */
  takenOut: Set<string>;
  /** The same and those that are relieved, tuned, or give mailboxes away. */
  changed: Set<string>;
  /** Capacity of a host as a share of all backends. */
  shareOf: (host: string) => number;
}

/** What is being done to the farm, whatever the reasons and whoever did it. */
export function spendingOf({hosts, moves, waiting}: Fleet, policy: Policy, nowMs: Instant): Spending {
  const backends = [...hosts.values()].filter(isBackend);
  const {windowMs} = budgetOf(policy);
  const names = (isOne: (host: FleetHost) => boolean): string[] => backends.filter(isOne).map(({record}) => record.host);
  const out = new Set(names(({record}) => record.cordon !== null || OUT.has(record.stage)));
  const takenOut = new Set([
    ...out,
    ...names(({record}) => record.history.some(({stage, atMs}) => stage === 'draining' && nowMs - atMs <= windowMs)),
  ]);
  const giving = [...moves.filter(isUnderWay), ...waiting].map(({source}) => source);
  const changed = new Set([...takenOut, ...giving, ...names(isChanged)]);
  return {backends: backends.map(({record}) => record.host), out, takenOut, changed, shareOf: sharesOf(backends)};
}

function isBackend({record}: FleetHost): boolean {
  return record.role === 'backend' && !['ordered', 'arrived', 'provisioning', 'retired'].includes(record.stage);
}

function isChanged({reports}: FleetHost): boolean {
  const report = reports.at(-1);
  return (report?.relief ?? null) !== null || (report?.tune?.changes.some(({stage}) => stage !== 'kept') ?? false);
}

/** By the size of their mail stores; where one has not told it, all count alike. */
function sharesOf(backends: readonly FleetHost[]): Spending['shareOf'] {
  const told = backends.map(({record, reports}) => [record.host, reports.at(-1)?.mailStore?.totalBytes ?? 0] as const);
  const sizes = new Map(told.every(([, bytes]) => bytes > 0) ? told : told.map(([host]) => [host, 1] as const));
  const sum = [...sizes.values()].reduce((total, size) => total + size, 0);
  return host => (sum === 0 ? 0 : (sizes.get(host) ?? 0) / sum);
}

/**
 * One budget for everything that a round decides, on top of what goes on already: the most urgent kinds spend first, within a kind in the
 * order given.
 * @returns the decisions in the order given; those beyond the budget with a veto that says the figures.
 */
export function withinBudget(decisions: readonly Decision[], fleet: Fleet, policy: Policy, nowMs: Instant): Decision[] {
  const spent = spendingOf(fleet, policy, nowMs);
  const vetoes = new Map<Decision, Veto[]>();
  const ranked = [...decisions].sort(
    (a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || Number(isPrecaution(a)) - Number(isPrecaution(b)),
  );
  for (const decision of ranked) {
    if (decision.vetoes.length > 0) continue;
    const found = [...outOfService(decision, spent, policy), ...tooManyChanged(decision, spent, policy)];
    if (found.length > 0) vetoes.set(decision, found);
    else book(decision, spent);
  }
  return decisions.map(decision => ({...decision, vetoes: [...decision.vetoes, ...(vetoes.get(decision) ?? [])]}));
}

/** Hurts nobody yet: whoever is sick goes before it. */
function isPrecaution({kind, because}: Decision): boolean {
  return kind === 'cordon' && because === SHARES_SICK_COHORT;
}

function book({kind, host}: Decision, {out, takenOut, changed}: Spending): void {
  if (host === null) return;
  const isOut = TAKES_OUT.has(kind);
  if (isOut) for (const set of [out, takenOut, changed]) set.add(host);
  else if (CHANGES.has(kind)) changed.add(host);
}

function outOfService({kind, host}: Decision, {out, shareOf}: Spending, policy: Policy): Veto[] {
  if (!TAKES_OUT.has(kind) || host === null || out.has(host) || out.size === 0) return [];
  const outShare = [...out].reduce((sum, each) => sum + shareOf(each), 0);
  const wouldBe = outShare + shareOf(host);
  const {outShareMax} = budgetOf(policy);
  if (wouldBe <= outShareMax + ROUNDING) return [];
  return [{code: 'CAPACITY_OUT', detail: {outShare: rounded(outShare), wouldBe: rounded(wouldBe), outShareMax, hosts: [...out].sort()}}];
}

function tooManyChanged({kind, host}: Decision, {backends, takenOut, changed}: Spending, policy: Policy): Veto[] {
  const isUrgent = URGENT.has(kind);
  if (!isUrgent && !CHANGES.has(kind)) return [];
  const counted = isUrgent ? takenOut : changed;
  if (counted.size === 0 || (host !== null && counted.has(host))) return [];
  const {changedShareMax, windowMs} = budgetOf(policy);
  const wouldBe = (counted.size + 1) / backends.length;
  if (wouldBe <= changedShareMax + ROUNDING) return [];
  const detail = {changed: counted.size, backends: backends.length, wouldBe: rounded(wouldBe), changedShareMax, windowMs};
  return [{code: 'BUDGET_SPENT', detail}];
}

/** Whether another host of the farm may be changed for the better now. @returns the veto, as a decision would carry it. */
export function budgetVeto(host: string, fleet: Fleet, policy: Policy, nowMs: Instant): Veto | null {
  const one = {kind: 'rebalance', host, atMs: nowMs, because: '', evidence: [], vetoes: [], mode: 'on'} as const;
  return withinBudget([{...one, evidence: [], vetoes: []}], fleet, policy, nowMs)[0]?.vetoes[0] ?? null;
}

function rounded(share: number): number {
  return Number(share.toPrecision(3));
}
