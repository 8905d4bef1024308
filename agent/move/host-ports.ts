import type {Clock} from '../../base/clock.ts';
import type {Bytes, Millis} from '../../base/units.ts';
import type {Feature, LateFolder} from '../../wire/command.ts';
import type {FolderState, Manifest} from '../../wire/manifest.ts';
import type {RouteRow} from '../route/apply.ts';
import type {Passes} from './admit.ts';
import type {Running} from './running.ts';

/** A mailbox copy on this host that is not (yet, or no longer) the mailbox. */
export interface Copy {
  user: string;
  moveId: string;
  /** arriving: being filled before the flip. retained: the old copy after it. */
  kind: 'arriving' | 'retained';
  /** open: what lies here is at most a part of a seed. closed: a whole seed, or whatever dsync brought. Absent: never asked. */
  seed?: 'open' | 'closed' | undefined;
}

/** What a target agrees to take as a seed. */
export interface SeedTerms {
  user: string;
  /** Where other hosts reach this one. */
  address: string;
  bytesMax: Bytes;
  /** Called when everything is unpacked, found by Dovecot and on disk; durable before it resolves. */
  arrived(): Promise<void>;
}

/** Where a seed is taken, once, from whoever shows the secret. */
export interface SeedOffer {
  address: string;
  port: number;
  secret: string;
}

export type SeedOutcome = {kind: 'seeded'; messages: number; bytes: Bytes} | {kind: 'unfit'; reason: string};

/** What the commands of a move need of this host. Real: *.io.ts beside this file; simulated: test/sim. */
export interface HostPorts {
  host: string;
  clock: Clock;
  store: MailStore;
  /** Mailboxes as files: what Dovecot has no command for. */
  files: {
    /** Target: takes one seed of that user, in the background, until `end`. @throws MailherdError COMMAND_FAILED. */
    offer(terms: SeedTerms): Promise<SeedOffer>;
    /** Target: no seed of that user is taken any more, and nothing writes to the home because of one. */
    end(user: string): Promise<void>;
    /**
     * Target: a whole seed of that user has come since its mover started, and nobody has asked since. It is on its way to disk, which `persist` waits for, and
     * its texts are being read.
     */
    hasJustCome(user: string): Promise<boolean>;
    /**
     * Source: sends one, no faster than told. @param gone called when all of it is on its way, before the target has proved it.
     * @param signal breaks it off.
     * @throws MailherdError COPY_FAILED when it broke off; the target knows.
     */
    send(user: string, offer: SeedOffer, bytesPerSecond: number | null, gone: () => void, signal: AbortSignal): Promise<SeedOutcome>;
    /** Everything of these users that was written here before this call is on disk when it resolves. @throws MailherdError COMMAND_FAILED. */
    persist(users: readonly string[]): Promise<void>;
  };
  routes: {
    row(user: string): RouteRow | null;
    usersHere(): string[];
    revision(): number;
    reached(revision: number, timeoutMs: Millis): Promise<void>;
    /** Mail for the user is put off here, for that long or until the next change of his route. */
    defer(user: string, spanMs: Millis): void;
  };
  /** Survives a crash: every change is on disk before the promise resolves. */
  memory: {
    highestToken(): number;
    rememberToken(token: number): Promise<void>;
    copies(): readonly Copy[];
    copy(user: string): Copy | null;
    putCopy(copy: Copy): Promise<void>;
    removeCopy(user: string): Promise<void>;
  };
  /** In memory: a command does not outlive a connection. */
  passes: Passes;
  running: Running;
  /** Null where nothing is tuned. */
  tune: {
    apply(adviceId: string, by: string, automatic: boolean): Promise<void>;
    revert(knob: string, by: string): Promise<void>;
  } | null;
  /** Null where there is no queue to relieve. */
  relief: QueueRelief | null;
  queue: Pick<MailQueue, 'count' | 'retry'>;
}

/** Postfix's queue of this host, by Postfix's own tools. All throw MailherdError COMMAND_FAILED. */
export interface MailQueue {
  /** Messages in any queue that still have to go somewhere; the agent's own probes do not count. */
  count(): Promise<number>;
  /** Asks Postfix to try the deferred mail of these users now. @returns how many messages. */
  retry(users: readonly string[]): Promise<number>;
  /** Recipients of each message that counts. */
  queued(): Promise<string[][]>;
  /** Asks Postfix to try all deferred mail now. */
  flush(): Promise<void>;
}

/** Postfix's queue of this host drains past what is sick here. */
export interface QueueRelief {
  /**
   * Begins, or goes on, until `spanMs` from now.
   * @param relay next hop of what leaves the farm; null: as ever.
   * @throws MailherdError RELIEF_REFUSED when Postfix is not prepared for it, or the relay does not take that mail.
   */
  begin(wish: {relay: string | null; spanMs: Millis; by: string}): Promise<QueuedMail>;
  end(): Promise<QueuedMail>;
}

/** Messages in the queue; with a recipient who lives elsewhere; with one outside the farm. */
export interface QueuedMail {
  queued: number;
  elsewhere: number;
  outgoing: number;
}

/** What a manifest shall say beside what it always says. */
export interface ManifestWish {
  /** The folder whose messages are wanted a line each. */
  folder: string | null;
  /** Digests of the texts too. */
  texts: boolean;
}

/** What of a mailbox is not in its home: directories, as they are on disk now. */
export interface Outside {
  /** Of the mail itself; null: it is in the home. */
  mail: string | null;
  /** Of indexes, control files, alternate storage or caches, which go with the home: in the mail store, and the user's alone. */
  goes: string[];
  /** The same, which stay; only where files are in them. */
  stays: string[];
}

/** The mail store of one host, as Dovecot's own tools serve it. */
export interface MailStore {
  /** @returns true when something of the user lies on disk here. */
  exists(user: string): Promise<boolean>;
  /** What of the user's mailbox is not in his home. */
  outside(user: string): Promise<Outside>;
  freeBytes(): Promise<Bytes>;
  /** What the user's mailbox uses that a host without it would lose. @throws MailherdError COMMAND_FAILED. */
  needs(user: string): Promise<Feature[]>;
  /** What copies to and from this host keep. @throws MailherdError COMMAND_FAILED. */
  offers(): Promise<Feature[]>;
  /**
   * One pass from here to `address`: makes the copy there equal, deletes there what is not here. Only ever before a flip.
   * @param signal breaks it off. @returns again = true when the mailbox changed meanwhile. @throws MailherdError COPY_FAILED.
   */
  backup(user: string, address: string, full: boolean, signal: AbortSignal): Promise<{again: boolean}>;
  /**
   * After the flip: brings to `address` what came here late, keeps what changed there.
   * @param folders those it came into; null = nobody knows. @throws MailherdError COPY_FAILED, COMMAND_FAILED.
   */
  carry(user: string, address: string, folders: readonly LateFolder[] | null): Promise<void>;
  /** Target: nothing that a pass began here works on the user's copy any more. @throws MailherdError COMMAND_FAILED when something does not end. */
  endCopies(user: string): Promise<void>;
  /** Waits until no delivery works in the user's mailbox. @returns how many still do so after `timeoutMs`. */
  deliveriesOver(user: string, timeoutMs: Millis): Promise<number>;
  /** Ends the user's sessions in order and waits for their processes. @returns how many there were. @throws MailherdError SESSIONS_LINGER. */
  endSessions(user: string, timeoutMs: Millis): Promise<number>;
  /** The state of every folder now, cheaply. @throws MailherdError COMMAND_FAILED. */
  folders(user: string): Promise<FolderState[]>;
  /** @throws MailherdError COMMAND_FAILED when something of it cannot be read. */
  manifest(user: string, wish: ManifestWish): Promise<Manifest>;
  /** Reads texts ahead for later manifests. @param signal breaks it off. @returns how many messages there are. @throws MailherdError COMMAND_FAILED. */
  readTexts(user: string, signal: AbortSignal): Promise<number>;
  /** The same, before anybody needs them. Never rejects: a failure is told to whoever reads them next. */
  readAhead(user: string, signal?: AbortSignal): Promise<void>;
  /** What was read ahead is no longer needed. */
  forgetTexts(user: string): void;
  /** Deletes what of the user is on this host, but for what `outside` says stays. @returns bytes freed. */
  remove(user: string): Promise<Bytes>;
  /** Of those of `users` whose size is known. @param here everybody who lives here: what was known of others is forgotten. */
  sizes(users: readonly string[], here: ReadonlySet<string>): Promise<MailboxSize[]>;
}

/** How large a mailbox is, and how busy: the latter is absent or null while nobody knows. */
export interface MailboxSize {
  user: string;
  bytes: Bytes;
  messages: number;
  deliveriesPerDay?: number | null;
  sessionsPerDay?: number | null;
}
