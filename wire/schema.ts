import Type from 'typebox';

/** One NATS token: a host's short name, lower case, as in `be07`. */
export const HostName = Type.String({pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$', description: 'short host name'});
/** Dovecot takes names in small letters (auth_username_format), reads `*` and `?` as wildcards, and makes paths of them. */
const NOT_IN_NAMES = '\\u0000-\\u0020\\u007f*?/';
/** Of a part that is empty, `.` or `..` Dovecot would make the home of the whole domain. */
const NO_EMPTY_PART = '(?!\\.{0,2}(?:@|$))(?!.*@\\.{0,2}$)';
/** Files and folders are named after users: NAME_MAX of Linux, bytes. */
export const NAME_BYTES_MAX = 255;
const fitsFileName = (name: string): boolean => new TextEncoder().encode(name).length <= NAME_BYTES_MAX;
const tooLong = (): string => `must not have more than ${NAME_BYTES_MAX} bytes`;
/** The full login name, at most 255 bytes of UTF-8, as Dovecot knows it (normalised to lower case). */
export const UserName = Type.Refine(
  Type.String({
    minLength: 1,
    maxLength: NAME_BYTES_MAX,
    pattern: `^(?!-)${NO_EMPTY_PART}[^${NOT_IN_NAMES}A-Z]+$`,
    description:
      'login name, e.g. ada@example.org; at most 255 bytes, no blanks, capitals, wildcards or slashes, no leading dash, no part that is empty or nothing but dots',
  }),
  fitsFileName,
  tooLong,
);
/** What follows the last @ of an address; of a name without one all. Users are kept in lower case, other addresses may not be. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}
/** A name as a person writes it; it is kept in small letters, which may have more bytes. */
export const WrittenUserName = Type.Refine(
  Type.String({
    minLength: 1,
    maxLength: NAME_BYTES_MAX,
    pattern: `^(?!-)${NO_EMPTY_PART}[^${NOT_IN_NAMES}]+$`,
    description:
      'login name, e.g. ada@example.org; at most 255 bytes, no blanks, wildcards or slashes, no leading dash, no part that is empty or nothing but dots',
  }),
  name => fitsFileName(name.toLowerCase()),
  tooLong,
);
export const MoveId = Type.String({pattern: '^[a-z0-9-]{8,40}$', description: 'id of a move'});
export const PlanId = Type.String({pattern: '^[a-z0-9-]{8,40}$', description: 'id of a plan'});
/** Grows with every change of a thing; receivers refuse smaller ones. */
export const Generation = Type.Integer({minimum: 0});
/** Of the lease under which a coordinator acts; agents refuse smaller ones than they have seen. */
export const Token = Type.Integer({minimum: 0, description: 'fencing token'});
export const InstantMs = Type.Integer({minimum: 0, description: 'milliseconds since 1970 UTC'});
export const SpanMs = Type.Number({minimum: 0, description: 'milliseconds'});
export const Count = Type.Number({minimum: 0});
export const Share = Type.Number({minimum: 0, maximum: 1, description: '0..1'});
export const ByteCount = Type.Number({minimum: 0, description: 'bytes'});
export const PerSecond = Type.Number({minimum: 0, description: 'per second'});

/** Absent is always null, never zero: a value that could not be read must not look like health. */
export function orNull<T extends Type.TSchema>(schema: T): Type.TUnion<[T, Type.TNull]> {
  return Type.Union([schema, Type.Null()]);
}

export const RefusalShape = Type.Object({code: Type.String(), detail: Type.Record(Type.String(), Type.Unknown())});

export const Role = Type.Union([Type.Literal('backend'), Type.Literal('edge'), Type.Literal('control')], {
  description: 'backend stores mailboxes; edge accepts users and mail; control runs the coordinator or NATS',
});
export type Role = Type.Static<typeof Role>;

/** What a host is, as name -> value: os, kernel, hardware, batch, firmware, image, rack, dovecot, postfix ... */
export const Labels = Type.Record(Type.String({maxLength: 40}), Type.String({maxLength: 120}), {maxProperties: 100});
export type Labels = Type.Static<typeof Labels>;
