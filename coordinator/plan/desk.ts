import {MailherdError} from '../../base/errors.ts';
import type {WhatIf, WhatIfView} from '../../wire/api.ts';
import type {Plan} from '../../wire/record.ts';
import {buildPlan, type NamedMoves, type PlanIds} from './build.ts';
import {caseOf, type PlanTask} from './case.ts';
import {checkPlan} from './check.ts';
import type {Outlook} from './filter.ts';
import type {Search} from './model.ts';
import {searchTargets} from './search-targets.ts';
import {whatIf} from './what-if.ts';

export type PlanWish = Exclude<PlanTask, {kind: 'new'}> | NamedMoves;

/** Breaches that a refusal names. */
export const BREACHES_TOLD = 10;

/** Where plans are made. The farm is the one of `outlook`, whatever happens meanwhile. */
export interface PlanDesk {
  /** Built and checked. @throws MailherdError PLAN_REFUSED when it breaks a rule; HOST_UNKNOWN, USER_UNKNOWN, MOVE_IN_PROGRESS, NOT_LEADER. */
  plan(wish: PlanWish, outlook: Outlook, ids: PlanIds, because: string): Promise<Plan>;
  /** A plan for a farm that is not. @throws MailherdError HOST_UNKNOWN, INPUT_INVALID, NOT_LEADER. */
  whatIf(wish: WhatIf, outlook: Outlook): Promise<WhatIfView>;
}

/** Plans made right here: for a large farm that takes seconds, in which this thread does nothing else. */
export function deskHere(search: Search): PlanDesk {
  return {
    async plan(wish, outlook, ids, because) {
      const targets = wish.kind === 'named' ? undefined : await searchTargets(caseOf(wish, outlook), search);
      const plan = buildPlan(wish, outlook, ids, because, targets);
      const breaches = checkPlan(plan, outlook.fleet, outlook.verdicts, outlook.cohorts, outlook.policy);
      if (breaches.length > 0) throw new MailherdError('PLAN_REFUSED', {breaches: breaches.slice(0, BREACHES_TOLD)});
      return plan;
    },
    async whatIf(wish, outlook) {
      return whatIf(wish, outlook);
    },
  };
}
