import Type from 'typebox';

/**
 * The ledger of a run: one JSON line for each thing that a mail program or a sender was promised, in the order in which it
 * learnt of it. Times are milliseconds since 1970 by this machine's clock, which all hosts share.
 */
const base = {atMs: Type.Integer(), user: Type.String()};
const place = {folder: Type.String(), uidValidity: Type.String(), uid: Type.Integer()};

export const LedgerEntry = Type.Union([
  /** The edge answered 250: this mail must arrive exactly once. */
  Type.Object({kind: Type.Literal('accepted'), ...base, messageId: Type.String()}),
  /** A message stands in a folder under that UID. Flags as read by the only client that writes them, null = not looked at. */
  Type.Object({
    kind: Type.Literal('known'),
    ...base,
    ...place,
    messageId: Type.String(),
    flags: Type.Union([Type.Array(Type.String()), Type.Null()]),
  }),
  /** APPEND was answered OK with the new UID. */
  Type.Object({kind: Type.Literal('appended'), ...base, ...place, messageId: Type.String(), flags: Type.Array(Type.String())}),
  /** STORE was answered OK. */
  Type.Object({kind: Type.Literal('flagged'), ...base, ...place, flag: Type.String(), isSet: Type.Boolean()}),
  /** No answer came: the mail, APPEND or STORE may or may not have happened; both are right. */
  Type.Object({kind: Type.Literal('unsureMail'), ...base, messageId: Type.String(), reason: Type.String()}),
  Type.Object({kind: Type.Literal('unsureAppend'), ...base, folder: Type.String(), messageId: Type.String(), reason: Type.String()}),
  Type.Object({kind: Type.Literal('unsureFlag'), ...base, ...place, flag: Type.String(), reason: Type.String()}),
  /** A waiting mail program (IDLE) was told of the message. */
  Type.Object({kind: Type.Literal('seen'), ...base, messageId: Type.String()}),
  /** The edge refused a mail for now (4xx) or for good (5xx); the sender keeps it. */
  Type.Object({kind: Type.Literal('refused'), ...base, code: Type.Integer(), reason: Type.String()}),
  Type.Object({kind: Type.Literal('login'), ...base, tookMs: Type.Number()}),
  Type.Object({kind: Type.Literal('loginFailed'), ...base, tookMs: Type.Number(), reason: Type.String()}),
  /** A session ended that its mail program had not ended; `isOrderly` = the server said BYE first. */
  Type.Object({kind: Type.Literal('dropped'), ...base, isOrderly: Type.Boolean(), reason: Type.String()}),
  /** The rest of the world was handed a mail by the farm: in this farm that can only be a bounce. */
  Type.Object({kind: Type.Literal('bounced'), ...base, reason: Type.String()}),
  /** Traffic was set to this; `user` is empty. */
  Type.Object({
    kind: Type.Literal('rate'),
    ...base,
    mailsPerSecond: Type.Number(),
    sessions: Type.Integer(),
    watchers: Type.Integer(),
  }),
]);
export type LedgerEntry = Type.Static<typeof LedgerEntry>;
export type Entry<K extends LedgerEntry['kind']> = Extract<LedgerEntry, {kind: K}>;
