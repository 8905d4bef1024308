import Type from 'typebox';
import {Count, orNull, RefusalShape} from './schema.ts';

/** How a mailbox lies on disk, where it can go as files. */
const SeedFormat = Type.Union([Type.Literal('maildir'), Type.Literal('sdbox'), Type.Literal('mdbox')]);
export type SeedFormat = Type.Static<typeof SeedFormat>;

/**
 * What agents say to each other on the connection of a seed, one JSON line each. Source: hello; target: answer; source: a ustar
 * archive, then the summary behind its end; target: answer. Then the target closes.
 */
export const SeedHello = Type.Object({
  v: Type.Literal(1),
  /** The one-time secret of the target's offer. */
  secret: Type.String({minLength: 32, maxLength: 128}),
  format: SeedFormat,
  /** Release series of Dovecot, e.g. `2.3`. */
  dovecot: Type.String({maxLength: 20}),
  /** What changes message files on their way to disk here, sorted: see agent/move/seed-fit.ts. */
  transforms: Type.Array(Type.String({maxLength: 40}), {maxItems: 10}),
});
export type SeedHello = Type.Static<typeof SeedHello>;

/** A folder as the target's Dovecot must find it when everything is unpacked. */
export const SeedFolder = Type.Object({guid: Type.String(), uidValidity: Type.Integer({minimum: 1}), messages: Count});
export type SeedFolder = Type.Static<typeof SeedFolder>;

/** So many files may be taken back at the end. */
export const SEED_GONE_MAX = 10_000;

export const SeedSummary = Type.Object({
  /** Every one counts, also one that was sent again. */
  files: Count,
  folders: Type.Array(SeedFolder),
  /** Paths that were sent and are no part of the mailbox any more. */
  gone: Type.Array(Type.String(), {maxItems: SEED_GONE_MAX}),
});
export type SeedSummary = Type.Static<typeof SeedSummary>;

/** null: go on. To the summary it means: all of it is unpacked, was found by Dovecot, and is on disk. */
export const SeedAnswer = Type.Object({refusal: orNull(RefusalShape)});
export type SeedAnswer = Type.Static<typeof SeedAnswer>;

/** No hello, and no answer, is longer than this. */
export const SEED_LINE_BYTES_MAX = 4_096;
