import type {Clock} from '../../base/clock.ts';
import type {Activity} from '../sample/activity.ts';
import {MailboxSizes} from '../sample/mailbox-sizes.ts';
import type {MailboxSize, MailStore} from './host-ports.ts';

/** What is known of users from the mail log. */
interface Watched {
  activity: Activity;
  /** Users who have a session now; null while the log is not followed. */
  online: () => ReadonlySet<string> | null;
  clock: Clock;
}

/** A store that reads the sizes of whomever it is asked for. */
export type PlainStore = Omit<MailStore, 'sizes'> & {sizes(users: readonly string[]): Promise<MailboxSize[]>};

/** A store that reads sizes again only where something has happened, and tells how busy each mailbox is. */
export function measured(store: PlainStore, {activity, online, clock}: Watched): MailStore {
  const sizes = new MailboxSizes({
    read: users => store.sizes(users),
    lastActiveMs: user => activity.lastMs(user),
    online,
    clock,
  });
  return {
    ...store,
    async sizes(users, here) {
      const nowMs = clock.now();
      activity.live(here, nowMs);
      return (await sizes.of(users, here)).map(size => {
        const perDay = activity.perDay(size.user, nowMs);
        return {...size, deliveriesPerDay: perDay?.deliveries ?? null, sessionsPerDay: perDay?.sessions ?? null};
      });
    },
  };
}
