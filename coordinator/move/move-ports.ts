import type {Clock} from '../../base/clock.ts';
import type {Instant, Millis} from '../../base/units.ts';
import type {Answer, Request, Verb} from '../../wire/command.ts';
import type {MoveRecord} from '../../wire/record.ts';
import type {Route} from '../../wire/route.ts';

export interface StoredRoute {
  route: Route;
  revision: number;
  /** The NATS server's timestamp. */
  storedAtMs: Instant;
}

/** What the protocol of a move needs of the world. Real: mover.io.ts; simulated: test/sim. */
export interface MovePorts {
  clock: Clock;
  /** Fencing token of the lease we act under. */
  token(): number;
  /**
   * One command to one agent.
   * @throws MailherdError the agent's refusal; HOST_SILENT when neither answer nor sign of work comes (it may still have acted).
   */
  command<V extends Verb>(host: string, verb: V, request: Request<V>, timeoutMs: Millis): Promise<Answer<V>>;
  /** @throws MailherdError NATS_DOWN. */
  readRoute(user: string): Promise<StoredRoute | null>;
  /**
   * Compare-and-set; the one place where a mailbox changes hands.
   * @returns the new revision. @throws MailherdError STORE_CONFLICT when the revision is no longer `expected`; NATS_DOWN when it
   * is not known whether the write took place.
   */
  writeRoute(route: Route, expected: number): Promise<number>;
  /**
   * Durable before it resolves; tries until it is known. A record that an older lease wrote meanwhile is written over.
   * @throws MailherdError NOT_LEADER when a newer lease has written it.
   */
  storeMove(record: MoveRecord): Promise<void>;
  /** Removes the record of a finished move. @throws MailherdError STORE_CONFLICT when somebody else wrote it meanwhile; NATS_DOWN. */
  removeMove(id: string): Promise<void>;
  /** All stored records. @throws MailherdError NATS_DOWN. */
  loadMoves(): Promise<MoveRecord[]>;
  /** Where other hosts reach a host's mail services. @throws MailherdError HOST_UNKNOWN. */
  address(host: string): string;
  /** Hosts that send users and mail to others by their route table. */
  edges(): string[];
  /** Users whose route is locked by a move, as far as the coordinator has heard. */
  locks(): {user: string; moveId: string}[];
  /** Users whose logins can wait at once at the edge that has the least room for them; null where no edge keeps any waiting, or tells. */
  holdPorts(): number | null;
  /** SHA-256, hexadecimal. */
  digest(text: string): string;
  /** For watching only; a lost one harms nothing. */
  stepped(record: MoveRecord, tookMs: Millis): void;
}
