import type {Rng} from '../../base/random.ts';
import {Mailbox} from './mailbox.ts';
import type {World} from './world.ts';

/** What clients and senders were told: held against the mailboxes at the end. */
export interface Ledger {
  /** Acknowledged messages: guid -> user. */
  messages: Map<string, string>;
  /** user -> what his client knows. */
  known: Map<string, Known>;
  /** What its user deleted: guid -> user. */
  expunged: Map<string, string>;
}

/** What one client last saw or set. */
export class Known {
  readonly byUid = new Map<number, {guid: string; flagged: boolean}>();
  readonly #seen = new Set<ReadonlyMap<number, number>>();

  /**
   * Dovecot tells a client of the mailbox which it reads: messages that it knew by their old UIDs are gone, and others have come. What was renumbered
   * in a mailbox that its user has left meanwhile he is never told of, and must not find.
   */
  see({renumberings}: Mailbox): void {
    for (const uids of renumberings) {
      if (this.#seen.has(uids)) continue;
      this.#seen.add(uids);
      for (const [before, after] of uids) {
        const message = this.byUid.get(before);
        this.byUid.delete(before);
        if (message !== undefined) this.byUid.set(after, message);
      }
    }
  }
}

/** Less than a hold takes: what starts later than that is found only when its host retains. */
const START_MAX_MS = 40;
const DELIVERY_RETRY_MS = 3_000;
const DELIVERIES_MAX = 200;
/** Of the changes that are no new messages. */
const EXPUNGE_SHARE = 0.15;

/** People read and change their mail, and mail comes in, all through the edge, while everything moves. */
export function startClients(world: World, rng: Rng, untilMs: number): Ledger {
  const ledger: Ledger = {messages: new Map(), known: new Map(), expunged: new Map()};
  for (const user of world.routes.keys()) {
    const known = new Known();
    const mailbox = world.host(world.owner(user)).mailboxes.get(user);
    for (const message of mailbox?.messages.values() ?? []) {
      known.byUid.set(message.uid, {guid: message.guid, flagged: false});
      ledger.messages.set(message.guid, user);
    }
    ledger.known.set(user, known);
    void send(world, rng.fork(`send-${user}`), user, ledger, untilMs);
    void read(world, rng.fork(`read-${user}`), user, ledger, untilMs);
  }
  return ledger;
}

async function send(world: World, rng: Rng, user: string, ledger: Ledger, untilMs: number): Promise<void> {
  for (let count = 0; world.time.now < untilMs; count++) {
    await world.time.sleep(rng.between(200, 2_500));
    const guid = `${user}-mail-${count}`;
    ledger.messages.set(guid, user); // the edge said 250
    void deliver(world, rng, user, guid);
  }
}

/** A queued message: tried until a backend takes it. */
async function deliver(world: World, rng: Rng, user: string, guid: string): Promise<void> {
  for (let tries = 0; tries < DELIVERIES_MAX; tries++) {
    if (await offer(world, rng, user, guid)) return;
    await world.time.sleep(rng.between(DELIVERY_RETRY_MS / 2, DELIVERY_RETRY_MS * 2));
  }
  world.violate('I1', `mail ${guid} was never delivered`);
}

async function offer(world: World, rng: Rng, user: string, guid: string): Promise<boolean> {
  let name = world.host('edge1').sendsTo(user);
  // A backend passes on to the host its own table names (LMTP proxy); a loop of two tables that disagree ends as a deferral.
  for (let hop = 0; hop < 3 && name !== null; hop++) {
    await world.time.sleep(rng.between(0.5, 5));
    const host = world.host(name);
    if (!host.isUp) return false;
    const row = host.rows.get(user);
    if (row === undefined) return false;
    if (row.host !== name) {
      name = row.host;
      continue;
    }
    if (!host.takesMail(user)) return false; // held, or mail is put off: 451
    // RCPT was accepted; the message is stored only after DATA, and the fence is not asked again in between.
    await world.time.sleep(rng.unit() < 0.1 ? rng.between(100, 4_000) : rng.between(1, 30));
    const mailbox = host.mailboxes.get(user);
    if (!host.isUp) return false;
    if (mailbox !== undefined) mailbox.append(guid);
    // Where it was removed meanwhile Dovecot makes one to store it in.
    else host.mailboxes.set(user, Mailbox.of(guid));
    return true;
  }
  return false;
}

async function read(world: World, rng: Rng, user: string, ledger: Ledger, untilMs: number): Promise<void> {
  const known = ledger.known.get(user) ?? new Known();
  while (world.time.now < untilMs) {
    await world.time.sleep(rng.between(20, 400));
    const name = world.host('edge1').sendsTo(user);
    const host = name === null ? null : world.host(name);
    if (host === null || name === null || !host.isUp || !host.isMine(user)) continue; // refused for now: try again
    // Dovecot has let the login through; until it counts as a session the fence may come up, and nobody asks it again.
    await world.time.sleep(rng.unit() < 0.8 ? rng.between(5, START_MAX_MS) : rng.between(0.2, 2));
    if (!host.isUp) continue;
    host.sessions.set(user, (host.sessions.get(user) ?? 0) + 1);
    while (world.time.now < untilMs && host.isUp && host.sessions.has(user)) {
      change(world, rng, user, name, known, ledger);
      await world.time.sleep(rng.between(20, 300));
      if (rng.unit() < 0.2) break;
    }
    host.sessions.delete(user);
  }
}

/** One acknowledged command in a session: the fence is not asked again, as in Dovecot. */
function change(world: World, rng: Rng, user: string, name: string, known: Known, ledger: Ledger): void {
  const mailbox = world.host(name).mailboxes.get(user);
  if (mailbox === undefined) {
    world.violate('I2', `${user} has a session on ${name} and no mailbox`);
    return;
  }
  known.see(mailbox);
  if (rng.unit() < 0.2) {
    const guid = `${user}-append-${known.byUid.size}-${Math.floor(world.time.now)}`;
    const uid = mailbox.append(guid);
    known.byUid.set(uid, {guid, flagged: false});
    ledger.messages.set(guid, user);
    return;
  }
  if (mailbox.messages.size === 0) return;
  const message = rng.pick([...mailbox.messages.values()]);
  if (rng.unit() < EXPUNGE_SHARE) {
    mailbox.expunge(message.uid);
    known.byUid.delete(message.uid);
    ledger.messages.delete(message.guid);
    ledger.expunged.set(message.guid, user);
    return;
  }
  const flagged = rng.unit() < 0.5;
  mailbox.flag(message.uid, flagged);
  known.byUid.set(message.uid, {guid: message.guid, flagged});
}
