import Type from 'typebox';
import {Feature, LateFolder, SeedOffer} from './command.ts';
import {FolderState, Manifest} from './manifest.ts';
import {ByteCount, Count, orNull, RefusalShape, SpanMs, UserName} from './schema.ts';

/**
 * Agent -> mover of the same host, over a unix socket: JSON lines, a connection for each call. The mover is root, the agent is not: this list is all
 * that it may ask for, and there is no path, no command and no option in it. The mover greets first, so that a call of an agent that has given up is
 * never begun.
 */
const user = {user: UserName};
/** An address or name as resolvers know them: it becomes a part of what dsync is told. */
const Address = Type.String({minLength: 1, maxLength: 255, pattern: '^[0-9A-Za-z][0-9A-Za-z.:-]*$'});
/** A folder's name is an argument of doveadm, behind the last option. */
const FolderName = Type.String({minLength: 1, maxLength: 4_096, pattern: '^[^\\u0000]+$'});
const Nothing = Type.Null();

const method = <Q extends Type.TProperties, A extends Type.TSchema>(request: Q, answer: A) => ({
  request: Type.Object(request, {additionalProperties: false}),
  answer,
});

/** By the names of the ports that they stand for (agent/move/host-ports.ts). */
export const METHODS = {
  exists: method(user, Type.Boolean()),
  outside: method(user, Type.Object({mail: orNull(Type.String()), goes: Type.Array(Type.String()), stays: Type.Array(Type.String())})),
  freeBytes: method({}, ByteCount),
  needs: method(user, Type.Array(Feature)),
  offers: method({}, Type.Array(Feature)),
  backup: method({...user, address: Address, full: Type.Boolean()}, Type.Object({again: Type.Boolean()})),
  carry: method(
    {
      ...user,
      address: Address,
      folders: orNull(
        Type.Array(Type.Object({...LateFolder.properties, name: FolderName, nameNow: orNull(FolderName)}, {additionalProperties: false})),
      ),
    },
    Nothing,
  ),
  endCopies: method(user, Nothing),
  deliveriesOver: method({...user, timeoutMs: SpanMs}, Count),
  endSessions: method({...user, timeoutMs: SpanMs}, Count),
  folders: method(user, Type.Array(FolderState)),
  manifest: method({...user, folder: orNull(Type.String()), texts: Type.Boolean()}, Manifest),
  readTexts: method(user, Count),
  readAhead: method(user, Nothing),
  forgetTexts: method(user, Nothing),
  remove: method(user, ByteCount),
  sizes: method({users: Type.Array(UserName)}, Type.Array(Type.Object({user: Type.String(), bytes: ByteCount, messages: Count}))),
  /** Answers when the offer is over; it is told by the ask `offered`. */
  offer: method({...user, address: Address, bytesMax: ByteCount}, Nothing),
  end: method(user, Nothing),
  hasJustCome: method(user, Type.Boolean()),
  send: method(
    {...user, offer: Type.Object({...SeedOffer.properties, address: Address}), bytesPerSecond: orNull(Type.Number({exclusiveMinimum: 0}))},
    Type.Union([
      Type.Object({kind: Type.Literal('seeded'), messages: Count, bytes: ByteCount}),
      Type.Object({kind: Type.Literal('unfit'), reason: Type.String()}),
    ]),
  ),
  persist: method({users: Type.Array(UserName)}, Nothing),
  count: method({}, Count),
  retry: method({users: Type.Array(UserName)}, Count),
  /** Recipients of each message in Postfix's queue. */
  queued: method({}, Type.Array(Type.Array(Type.String()))),
  flush: method({}, Nothing),
  /** Dovecot's status sockets, which are root's alone after each of its starts, let the agent in. */
  admit: method({}, Nothing),
} as const;

export type Method = keyof typeof METHODS;
export type Asked<M extends Method> = Type.Static<(typeof METHODS)[M]['request']>;
export type Answered<M extends Method> = Type.Static<(typeof METHODS)[M]['answer']>;

/** First line of the agent. */
export const Call = Type.Object({method: Type.String(), request: Type.Unknown()});
/** Its later ones: what runs shall end, or what it was asked is done. */
export const Word = Type.Union([
  Type.Object({abort: Type.Literal(true)}),
  Type.Object({done: Type.Integer(), refusal: orNull(RefusalShape)}),
]);
export type Word = Type.Static<typeof Word>;

/** What the agent does in the midst of a call when the mover asks for it. */
export const Ask = Type.Union([Type.Literal('offered'), Type.Literal('arrived'), Type.Literal('gone')]);
export type Ask = Type.Static<typeof Ask>;

/** Lines of the mover: the greeting, asks, and the one that ends the call. */
export const Line = Type.Union([
  Type.Object({ready: Type.Literal(true)}),
  Type.Object({ask: Ask, id: Type.Integer(), value: Type.Unknown()}),
  Type.Object({ok: Type.Literal(true), answer: Type.Unknown()}),
  Type.Object({ok: Type.Literal(false), refusal: RefusalShape}),
]);
export type Line = Type.Static<typeof Line>;
