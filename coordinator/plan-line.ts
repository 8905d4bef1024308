import {MailherdError} from '../base/errors.ts';
import type {Instant} from '../base/units.ts';
import type {CurrentPlan, Plan} from '../wire/record.ts';
import type {BucketPort, Stored} from './bucket-port.ts';
import {CURRENT_PLAN_KEY} from './keys.ts';
import type {PlanIds} from './plan/build.ts';

const CHARS_MAX = 200_000;

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

  /** Whether no other plan has taken that place. @throws MailherdError NATS_DOWN. */
  async isNext({revision}: PlanPlace): Promise<boolean> {
    return ((await this.#plans.get(CURRENT_PLAN_KEY))?.revision ?? null) === revision;
  }

  /**
   * Makes `plan` current; one that is too large for an entry becomes a line of several, each the child of the one before.
   * @returns the plans as stored, the first with the id of `plan`. @throws MailherdError PLAN_STALE when another plan came first; NATS_DOWN.
   */
  async store(plan: Plan, {revision}: PlanPlace): Promise<Plan[]> {
    const parts = splitPlan(plan, this.#newId);
    let expected = revision;
    for (const part of parts) expected = await this.#append(part, expected);
    return parts;
  }

  async #append(plan: Plan, expected: number | null): Promise<number> {
    await this.#plans.create(plan.id, plan);
    const current: CurrentPlan = {v: 1, current: plan.id, generation: plan.generation};
    try {
      if (expected === null) return await this.#plans.create(CURRENT_PLAN_KEY, current);
      return await this.#plans.update(CURRENT_PLAN_KEY, current, expected);
    } catch (error) {
      if (error instanceof MailherdError && error.code === 'STORE_CONFLICT') {
        throw new MailherdError('PLAN_STALE', {planId: plan.id}, {cause: error});
      }
      throw error;
    }
  }

  /** @param id of a plan, or `current`. @throws MailherdError PLAN_UNKNOWN, NATS_DOWN. */
  async read(id: string): Promise<Plan> {
    const named = await this.#plans.get(id);
    const entry = named !== null && 'current' in named.value ? await this.#plans.get(named.value.current) : named;
    if (entry === null || 'current' in entry.value) throw new MailherdError('PLAN_UNKNOWN', {planId: id});
    return entry.value;
  }
}

/**
 * The same moves in plans that fit an entry of NATS (1 MB unless configured otherwise; a character takes up to 3 bytes). What has no
 * place is kept in the first one, as much of it as fits.
 */
export function splitPlan(plan: Plan, newId: () => string, charsMax = CHARS_MAX): Plan[] {
  const chunks = chunksOf(plan.moves, charsMax);
  const unplaced = chunksOf(plan.unplaced, charsMax / 4)[0] ?? [];
  let parent = plan.id;
  return chunks.map((moves, index) => {
    if (index === 0) return {...plan, moves, unplaced};
    const part = {...plan, id: newId(), parent, generation: plan.generation + index, moves, unplaced: []};
    parent = part.id;
    return part;
  });
}

function chunksOf<T>(items: readonly T[], charsMax: number): T[][] {
  const chunks: T[][] = [[]];
  let chars = 0;
  for (const item of items) {
    const more = JSON.stringify(item).length + 1;
    if (chars + more > charsMax && chars > 0) {
      chunks.push([]);
      chars = 0;
    }
    chunks.at(-1)?.push(item);
    chars += more;
  }
  return chunks;
}

function asCurrent({key, value}: Stored<Plan | CurrentPlan>): CurrentPlan {
  if ('current' in value) return value;
  throw new MailherdError('STORE_CORRUPT', {key, reason: 'a plan where the current one is named'});
}
