import type {Clock} from '../../base/clock.ts';
import {DAY_MS, type Instant, type Millis} from '../../base/units.ts';

/** Sizes change without a session too: by expiry, by an administrator. */
const FRESH_MS = DAY_MS;
/** What happened a moment before the last look may not have been written then. */
const SETTLE_MS: Millis = 60_000;

interface Size {
  user: string;
  bytes: number;
  messages: number;
}

interface SizesDeps {
  /** Reads the sizes of these users; costs some of the mail store's time. */
  read: (users: readonly string[]) => Promise<Size[]>;
  /** When the user last did something here; null: never that is known of. */
  lastActiveMs: (user: string) => Instant | null;
  /** Users who have a session now; null while nobody watches what users do. */
  online: () => ReadonlySet<string> | null;
  clock: Clock;
}

/** Sizes of mailboxes, read again only where something has happened since, and once a day. */
export class MailboxSizes {
  readonly #deps: SizesDeps;
  readonly #known = new Map<string, Size & {readAtMs: Instant}>();

  constructor(deps: SizesDeps) {
    this.#deps = deps;
  }

  /** Of those of `users` whose size is known. @param here who lives here: others are forgotten. @throws what `read` throws. */
  async of(users: readonly string[], here: ReadonlySet<string>): Promise<Size[]> {
    const {read, clock} = this.#deps;
    const nowMs = clock.now();
    const online = this.#deps.online();
    for (const user of this.#known.keys()) if (!here.has(user)) this.#known.delete(user);
    const stale = users.filter(user => {
      const size = this.#known.get(user);
      return size === undefined || online === null || online.has(user) || this.#isStale(size, nowMs);
    });
    const fresh = stale.length === 0 ? [] : await read(stale);
    for (const user of stale) this.#known.delete(user);
    for (const size of fresh) this.#known.set(size.user, {...size, readAtMs: nowMs});
    return users.flatMap(user => {
      const size = this.#known.get(user);
      return size === undefined ? [] : [{user, bytes: size.bytes, messages: size.messages}];
    });
  }

  /** A clock that was set back makes everything stale. */
  #isStale({user, readAtMs}: {user: string; readAtMs: Instant}, nowMs: Instant): boolean {
    const ageMs = nowMs - readAtMs;
    const lastMs = this.#deps.lastActiveMs(user);
    return ageMs < 0 || ageMs >= FRESH_MS || (lastMs !== null && lastMs >= readAtMs - SETTLE_MS);
  }
}
