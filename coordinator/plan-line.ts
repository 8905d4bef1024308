import {MailherdError} from '../base/errors.ts';
import type {Instant} from '../base/units.ts';
import type {CurrentPlan, Plan} from '../wire/record.ts';
import type {BucketPort, Stored} from './bucket-port.ts';
import {CURRENT_PLAN_KEY} from './keys.ts';
import type {PlanIds} from './plan/build.ts';

/** Where the next plan would stand. */
export interface PlanPlace {
  ids: PlanIds;
  /** Revision of the entry `current`; null while there is none. */
  revision: number | null;
}

/** The line of plans: immutable, each the child of the one before; the compare-and-set of one entry decides whose child is next. */
export class PlanLine {
  readonly #plans: BucketPort<Plan | CurrentPlan>;
  readonly #newId: () => string;

  constructor(plans: BucketPort<Plan | CurrentPlan>, newId: () => string) {
    this.#plans = plans;
    this.#newId = newId;
  }

  /** @throws MailherdError NATS_DOWN. */
  async next(nowMs: Instant): Promise<PlanPlace> {
    const entry = await this.#plans.get(CURRENT_PLAN_KEY);
    const current = entry === null ? null : asCurrent(entry);
    const ids = {planId: this.#newId(), parent: current?.current ?? null, generation: (current?.generation ?? 0) + 1, nowMs};
    return {ids, revision: entry?.revision ?? null};
  }

  /** Makes `plan` current. @throws MailherdError PLAN_STALE when another plan came first; NATS_DOWN. */
  async store(plan: Plan, {revision}: PlanPlace): Promise<void> {
    await this.#plans.create(plan.id, plan);
    const current: CurrentPlan = {v: 1, current: plan.id, generation: plan.generation};
    try {
      if (revision === null) await this.#plans.create(CURRENT_PLAN_KEY, current);
      else await this.#plans.update(CURRENT_PLAN_KEY, current, revision);
    } catch (error) {
      if (error instanceof MailherdError && error.code === 'STORE_CONFLICT')
        throw new MailherdError('PLAN_STALE', {planId: plan.id}, {cause: error});
      throw error;
    }
  }

  /** @throws MailherdError PLAN_UNKNOWN, NATS_DOWN. */
  async read(id: string): Promise<Plan> {
    const entry = id === CURRENT_PLAN_KEY ? null : await this.#plans.get(id);
    if (entry === null || 'current' in entry.value) throw new MailherdError('PLAN_UNKNOWN', {planId: id});
    return entry.value;
  }
}

function asCurrent({key, value}: Stored<Plan | CurrentPlan>): CurrentPlan {
  if ('current' in value) return value;
  throw new MailherdError('STORE_CORRUPT', {key, reason: 'a plan where the current one is named'});
}
