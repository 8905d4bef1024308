import type {Fleet, MailboxFacts} from '../fleet.ts';

/** Of a login with what follows it, against a delivery: see docs/PLAN.md. */
const SESSION_LOAD = 0.5;
/** Of a mailbox that nobody uses: backup, expiry and every look at its size pass it by each day. */
const IDLE_LOAD = 1;

/** How much the mailboxes of a fleet cost their hosts. */
export interface Loads {
  /** In deliveries a day: what else happens counts as so many of them. Of a mailbox without a known load, that of an average one. */
  of(user: string): number;
  /** Mailboxes whose load is not known. */
  unknown: number;
  /** False while no load is known at all: every mailbox counts as 1 then, and no limit of load can be kept. */
  isKnown: boolean;
}

/** Loads as the hosts last told them. */
export function loadsOf(fleet: Fleet): Loads {
  let [sum, known] = [0, 0];
  for (const facts of fleet.mailboxes.values()) {
    const load = loadOf(facts);
    if (load === null) continue;
    sum += load;
    known++;
  }
  const mean = known === 0 ? 1 : sum / known;
  return {
    of: user => loadOf(fleet.mailboxes.get(user)) ?? mean,
    unknown: Math.max(0, fleet.routes.size - known),
    isKnown: known > 0,
  };
}

/** NaN fails every comparison. */
function loadOf(facts: MailboxFacts | undefined): number | null {
  const {deliveriesPerDay = null, sessionsPerDay = null} = facts ?? {};
  if (deliveriesPerDay === null || sessionsPerDay === null) return null;
  const load = IDLE_LOAD + deliveriesPerDay + SESSION_LOAD * sessionsPerDay;
  return load >= IDLE_LOAD && load < Number.MAX_SAFE_INTEGER ? load : null;
}
