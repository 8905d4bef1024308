import Type from 'typebox';
import {type Instant, MINUTE_MS, type Millis} from '../../base/units.ts';
import {Count, orNull} from '../../wire/schema.ts';
import {Complaints} from './complaints.ts';
import {LIMIT_KINDS, type LimitKind} from './maillog.ts';

/**
 * A limit counts as left when nobody has complained for so long. Postfix's master complains each 1000 s at most, Dovecot's each second
 * while it drops connections; a process that ran out of inotify says so once and stays without.
 */
export const CLEAR_AFTER_MS: Record<LimitKind, Millis> = {
  postfixProcesses: 20 * MINUTE_MS,
  dovecotProcesses: 5 * MINUTE_MS,
  dovecotClients: 5 * MINUTE_MS,
  inotifyInstances: 30 * MINUTE_MS,
  inotifyWatches: 30 * MINUTE_MS,
};

/** A limit that was reached and is not left yet; kept over restarts. */
export const OpenLimit = Type.Object({
  limit: Type.Enum(LIMIT_KINDS),
  service: Type.String(),
  max: orNull(Count),
  sinceMs: Type.Number(),
  lastMs: Type.Number(),
  complaints: Count,
});
export type OpenLimit = Type.Static<typeof OpenLimit>;

/** Which limits are reached now, from the complaints in the log. */
export class Limits {
  readonly #all: Complaints<OpenLimit>;

  /** @param open as `open` gave it before a restart. */
  constructor(open: readonly OpenLimit[] = []) {
    this.#all = new Complaints(
      {keyOf: ({limit, service}) => `${limit} ${service}`, clearAfterMs: ({limit}) => CLEAR_AFTER_MS[limit]},
      open,
    );
  }

  get open(): OpenLimit[] {
    return this.#all.open;
  }

  /** @returns the limit when this complaint opens it, null when it was open. */
  saw(complaint: Pick<OpenLimit, 'limit' | 'service' | 'max'>, atMs: Instant): OpenLimit | null {
    const seen = this.#all.saw(complaint, atMs);
    if (seen === null || seen.isNew) return seen?.one ?? null;
    seen.one.max = complaint.max ?? seen.one.max;
    return null;
  }

  /** Takes out, and returns, those that nobody complained of for long enough. */
  clear(nowMs: Instant): OpenLimit[] {
    return this.#all.clear(nowMs);
  }
}
