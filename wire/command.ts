import Type from 'typebox';
import {FolderState, Manifest} from './manifest.ts';
import {ByteCount, Count, Generation, HostName, InstantMs, MoveId, orNull, RefusalShape, SpanMs, Token, UserName} from './schema.ts';
import {AdviceId, KnobName} from './tune.ts';

/**
 * Coordinator -> agent, request and reply on `mailherd.command.<host>.<verb>`. Every command can be sent again: an agent that
 * has done it answers as before. `token` is the sender's lease; an agent remembers the highest on disk and refuses smaller ones.
 */
const base = {v: Type.Literal(1), token: Token};
const ofMove = {...base, moveId: MoveId, user: UserName};
/** The user has no route any more: somebody removed him. That a host has not heard of him is no reason to refuse then. */
const gone = Type.Optional(Type.Boolean());

/**
 * What of a mailbox only a Dovecot that is set up for it keeps: access control lists, encryption at rest, IMAP METADATA (RFC 5464). Keys
 * that each user has of his own no Dovecot keeps.
 */
export const Feature = Type.Union([
  Type.Literal('acl'),
  Type.Literal('crypt'),
  Type.Literal('metadata'),
  Type.Literal('sieve'),
  Type.Literal('user-keys'),
  Type.Literal('hibernation'),
]);
export type Feature = Type.Static<typeof Feature>;

/** One connection to this address, which shows the secret, may bring one seed. */
export const SeedOffer = Type.Object({
  address: Type.String(),
  port: Type.Integer({minimum: 1, maximum: 65_535}),
  secret: Type.String({minLength: 32, maxLength: 128}),
});

/** A folder of a retained copy into which mail came late: as the UIDs `first` to `last`, none where `last` is lower. */
export const LateFolder = Type.Object({
  guid: Type.String({pattern: '^[0-9a-f]{32}$'}),
  name: Type.String(),
  first: Count,
  last: Count,
  /** Its name where the user lives now; null: he has deleted it since, and the mail goes to his INBOX. */
  nameNow: orNull(Type.String()),
});
export type LateFolder = Type.Static<typeof LateFolder>;

const verb = <N extends string, Q extends Type.TProperties, A extends Type.TProperties>(name: N, request: Q, answer: A) => ({
  name,
  request: Type.Object(request),
  answer: Type.Object(answer),
});

export const COMMANDS = {
  /** Source, before anything moves: what the mailbox uses that its next host must have too. Refuses when the host's own dsync lacks it. */
  needs: verb('needs', ofMove, {needs: Type.Array(Feature)}),
  /** Target: make room. Refuses when the user is routed here, a copy of unknown origin lies here, or space or a feature lacks. */
  reserve: verb(
    'reserve',
    {
      ...ofMove,
      source: HostName,
      bytes: ByteCount,
      needs: Type.Array(Feature),
      discard: Type.Array(MoveId, {description: 'earlier copies that may be removed'}),
    },
    {freeBytes: ByteCount},
  ),
  /**
   * Target, before the first pass: take the mailbox as files (`open`), or no longer; what an unfinished seed left is removed. No offer:
   * the files are here already, or shall not come. `emptied`: what an unfinished seed and passes had left was removed just now; left out by an
   * older release, and where nothing was.
   */
  receive: verb(
    'receive',
    {...ofMove, address: Type.String({description: 'where the source reaches this host'}), bytes: ByteCount, open: Type.Boolean()},
    {offer: orNull(SeedOffer), emptied: Type.Optional(Type.Literal(true))},
  ),
  /** Source: send the mailbox as files to whoever made the offer. Not seeded: dsync has to do it all, `reason` says why. */
  seed: verb(
    'seed',
    {...ofMove, target: HostName, offer: SeedOffer, bytesPerSecond: Type.Optional(Type.Number({exclusiveMinimum: 0}))},
    {
      seeded: Type.Boolean(),
      reason: orNull(Type.String()),
      messages: Count,
      bytes: ByteCount,
      tookMs: SpanMs,
    },
  ),
  /** Source: one pass to the target. `full` reads every message again instead of trusting modification counters. */
  copy: verb(
    'copy',
    {
      ...ofMove,
      target: HostName,
      targetAddress: Type.String(),
      full: Type.Boolean(),
      pass: Type.Integer({minimum: 1, description: 'grows with each pass under one token; a late or doubled command is known by it'}),
    },
    {
      tookMs: SpanMs,
      /** True when the mailbox changed during the pass: run another. */
      again: Type.Boolean(),
    },
  ),
  /**
   * Source, before a pass that may be the last: mail for the user is put off from now on, for `spanMs` at most and until his route changes at the
   * latest; answers when the deliveries that were under way are over, or have taken too long. A comfort, nothing relies on it: deliveries
   * keep a mailbox locked for as long as the disk takes to confirm them.
   */
  calm: verb('calm', {...ofMove, spanMs: SpanMs}, {deliveries: Count, tookMs: SpanMs}),
  /**
   * Source: the hold entry of `revision` is in force here, the user's sessions are ended and their processes gone. Asked again with `look`
   * it tells whether any began all the same, and what state each folder is in now. An older release tells neither. `storedAtMs`: when the NATS
   * server stored that entry, by its clock; it tells why a host does not hold what has just been stored. Left out by an older release.
   */
  hold: verb(
    'hold',
    {...ofMove, revision: Generation, look: Type.Optional(Type.Boolean()), storedAtMs: Type.Optional(InstantMs)},
    {
      tookMs: SpanMs,
      /** That were ended. */
      sessions: Type.Optional(Count),
      folders: Type.Optional(Type.Array(FolderState)),
    },
  ),
  /** Either end, before the hold: read the texts of all messages ahead and remember their digests; only what is new is read again. */
  readTexts: verb('readTexts', ofMove, {messages: Count, tookMs: SpanMs}),
  /**
   * Either end: the manifest of the mailbox as it lies on this host; `folder` asks for the lines of one, `texts` for digests of texts. `own`
   * refuses unless the user lives here and has a mailbox; an older release makes an empty one then.
   */
  manifest: verb(
    'manifest',
    {...ofMove, folder: orNull(Type.String()), texts: Type.Boolean(), own: Type.Optional(Type.Literal(true))},
    {manifest: Manifest, tookMs: SpanMs},
  ),
  /** Target, after the flip: the route of `revision` is in force, the copy is the mailbox now. */
  adopt: verb('adopt', {...ofMove, revision: Generation}, {appliedAtMs: InstantMs}),
  /** Source, after the flip: the route is in force here too, nobody works here any more, the old copy is retained under the move's id. */
  retain: verb('retain', {...ofMove, revision: Generation, gone}, {appliedAtMs: InstantMs}),
  /**
   * Source, after the flip: bring to the target what came here late (a delivery that was under way during the hold). `folders`: in these alone;
   * left out by an older release, and where nobody knows: anywhere.
   */
  carry: verb(
    'carry',
    {...ofMove, target: HostName, targetAddress: Type.String(), folders: Type.Optional(Type.Array(LateFolder, {minItems: 1}))},
    {},
  ),
  /** Source, when backing out: a seed or pass of this move that runs here ends, and no other begins. An older release knows it not. */
  abort: verb('abort', ofMove, {ended: Type.Boolean()}),
  /** Source, when backing out: no earlier command for the user runs here any more (a pass that is under way would fill the target again). */
  settle: verb('settle', ofMove, {}),
  /** Remove the copy that `moveId` left here. Refuses when the route names this host or the copy is of another move. */
  discard: verb('discard', {...ofMove, gone}, {removedBytes: ByteCount}),
  /** Target: what was written for these users so far is on disk; a power cut loses nothing of it. */
  persist: verb('persist', {...base, users: Type.Array(UserName, {minItems: 1})}, {tookMs: SpanMs}),
  /** Any host: wait until the route bucket is applied up to `revision`. */
  sync: verb('sync', {...base, revision: Generation}, {revision: Generation}),
  /** Any host: try the queued mail of these users again now. */
  retry: verb('retry', {...base, users: Type.Array(UserName, {minItems: 1})}, {requeued: Count}),
  /**
   * Backend: the queue drains past what is sick here: mail for users who live elsewhere straight to their hosts, mail that leaves the farm
   * by `relay`, everything tried now, nothing returned. It ends by itself after `spanMs`, and at once with 0; asked again, it lasts longer.
   */
  relieve: verb(
    'relieve',
    {
      ...base,
      relay: orNull(Type.String({minLength: 1, maxLength: 80, description: 'a next hop as Postfix writes it, [10.0.0.5]:25'})),
      spanMs: SpanMs,
      by: Type.String({maxLength: 120}),
    },
    {
      queued: Count,
      /** Of these, messages with a recipient who lives elsewhere, and with one outside the farm. */
      elsewhere: Count,
      outgoing: Count,
    },
  ),
  /**
   * Backend: size of the mailboxes routed here, and how busy they are. `after`: one page, of names behind that one ('' for the first); a
   * message of NATS holds a few thousand mailboxes. Left out by a coordinator that does not know pages: all at once; an agent that
   * knows none answers so too, and without `next`.
   */
  mailboxes: verb(
    'mailboxes',
    {...base, after: Type.Optional(Type.String({maxLength: 255}))},
    {
      mailboxes: Type.Array(
        Type.Object({
          user: UserName,
          bytes: ByteCount,
          messages: Count,
          /** Stored by LMTP, and IMAP logins, as the last days show; null until this host has watched the mailbox for a day. */
          deliveriesPerDay: Type.Optional(orNull(Count)),
          sessionsPerDay: Type.Optional(orNull(Count)),
        }),
      ),
      next: Type.Optional(orNull(UserName)),
    },
  ),
  /** Make the change of an advice that the host gives. `automatic`: it is the policy that speaks, not a person. */
  tune: verb('tune', {...base, adviceId: AdviceId, by: Type.String({maxLength: 120}), automatic: Type.Boolean()}, {}),
  /** Put a changed kernel value back. */
  untune: verb('untune', {...base, knob: KnobName, by: Type.String({maxLength: 120})}, {}),
  /** Backend: does anything lie here that must not be lost? Checks routes, copies that are not retained, and the queue. */
  wipeCheck: verb(
    'wipeCheck',
    {...base, retained: Type.Array(MoveId, {description: 'copies the coordinator allows to go'})},
    {
      users: Count,
      queued: Count,
      copies: Type.Array(Type.Object({user: UserName, moveId: Type.String(), kind: Type.String()})),
    },
  ),
} as const;

export type Verb = keyof typeof COMMANDS;
export type Request<V extends Verb> = Type.Static<(typeof COMMANDS)[V]['request']>;
export type Answer<V extends Verb> = Type.Static<(typeof COMMANDS)[V]['answer']>;

/** A silent agent is given up after this long without an answer or a sign of work. */
export const COMMAND_SILENCE_MS = 15_000;

/** The reply to every command: `ok` with the verb's answer, or a refusal; before it, while work goes on, `working` every few seconds. */
export const Reply = Type.Union([
  Type.Object({working: Type.Literal(true)}),
  Type.Object({ok: Type.Literal(true), answer: Type.Unknown()}),
  Type.Object({ok: Type.Literal(false), refusal: RefusalShape}),
]);
export type Reply = Type.Static<typeof Reply>;
