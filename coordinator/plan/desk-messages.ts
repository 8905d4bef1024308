import type {MessagePort} from 'node:worker_threads';
import type {Refusal} from '../../base/errors.ts';
import type {WhatIf, WhatIfView} from '../../wire/api.ts';
import type {MoveRecord, Plan, PlannedMove} from '../../wire/record.ts';
import type {FleetHost, FleetRoute, MailboxFacts} from '../fleet.ts';
import type {PlanIds} from './build.ts';
import type {PlanWish} from './desk.ts';
import type {Outlook} from './filter.ts';

/** What the thread is born with. */
export interface Lines {
  answers: MessagePort;
}

export type Job = {kind: 'plan'; wish: PlanWish; ids: PlanIds; because: string} | {kind: 'whatIf'; wish: WhatIf};

/** To the thread: a farm in small parts, then what is asked of it. */
export type Question =
  | {kind: 'hosts'; part: [string, FleetHost][]}
  | {kind: 'routes'; part: [string, FleetRoute][]}
  | {kind: 'mailboxes'; part: [string, MailboxFacts][]}
  | {kind: 'moves'; part: MoveRecord[]}
  | {kind: 'waiting'; part: PlannedMove[]}
  | {kind: 'job'; job: Job; outlook: Omit<Outlook, 'fleet'>};

/** From the thread: parts of a plan, and then the rest of it, or another answer. */
export type Answer =
  | {kind: 'moves'; part: Plan['moves']}
  | {kind: 'unplaced'; part: Plan['unplaced']}
  | {kind: 'plan'; plan: Plan}
  | {kind: 'whatIf'; view: WhatIfView}
  | {kind: 'refused'; refusal: Refusal};
