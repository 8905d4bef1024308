import Type from 'typebox';
import {type Instant, MINUTE_MS, type Millis} from '../../base/units.ts';
import {Count, orNull} from '../../wire/schema.ts';
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
/** More services than any host has. */
const OPEN_MAX = 64;

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

/** Which limits are reached now, from the complaints in the log: opened by the first one, cleared by a time without. */
export class Limits {
  readonly #open: Map<string, OpenLimit>;

  /** @param open as `open` gave it before a restart. */
  constructor(open: readonly OpenLimit[] = []) {
    this.#open = new Map(open.map(one => [keyOf(one), {...one}]));
  }

  get open(): OpenLimit[] {
    return [...this.#open.values()];
  }

  /** @returns the limit when this complaint opens it, null when it was open. */
  saw(complaint: Pick<OpenLimit, 'limit' | 'service' | 'max'>, atMs: Instant): OpenLimit | null {
    const known = this.#open.get(keyOf(complaint));
    if (known !== undefined) {
      known.lastMs = Math.max(known.lastMs, atMs);
      known.complaints++;
      known.max = complaint.max ?? known.max;
      return null;
    }
    if (this.#open.size >= OPEN_MAX) return null;
    const opened = {...complaint, sinceMs: atMs, lastMs: atMs, complaints: 1};
    this.#open.set(keyOf(complaint), opened);
    return opened;
  }

  /** Takes out, and returns, those that nobody complained of for long enough. */
  clear(nowMs: Instant): OpenLimit[] {
    const cleared = this.open.filter(({limit, lastMs}) => nowMs - lastMs >= CLEAR_AFTER_MS[limit]);
    for (const one of cleared) this.#open.delete(keyOf(one));
    return cleared;
  }
}

function keyOf({limit, service}: Pick<OpenLimit, 'limit' | 'service'>): string {
  return `${limit} ${service}`;
}
