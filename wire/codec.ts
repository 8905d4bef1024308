import type Type from 'typebox';
import {Compile, type Validator} from 'typebox/compile';
import {MailherdError} from '../base/errors.ts';

/**
 * Version of everything in this folder, on the wire and at rest.
 * History: 1 first release.
 */
export const WIRE_VERSION = 1;

const compiled = new WeakMap<object, Validator>();

function validator(schema: Type.TSchema): Validator {
  let found = compiled.get(schema);
  if (found === undefined) {
    found = Compile(schema) as unknown as Validator;
    compiled.set(schema, found);
  }
  return found;
}

/** True when `value` fits `schema`. */
export function fits<T extends Type.TSchema>(schema: T, value: unknown): value is Type.Static<T> {
  return validator(schema).Check(value);
}

/**
 * `value`, typed, when it fits.
 * @param what names the thing in the error, e.g. `report of be07`.
 * @throws MailherdError INPUT_INVALID with path and reason of the first misfit.
 */
export function parse<T extends Type.TSchema>(schema: T, value: unknown, what: string): Type.Static<T> {
  const check = validator(schema);
  if (check.Check(value)) return value as Type.Static<T>;
  const first = check.Errors(value)[0];
  throw new MailherdError('INPUT_INVALID', {
    what,
    path: first?.instancePath === undefined || first.instancePath === '' ? '/' : first.instancePath,
    reason: first?.message ?? 'does not fit',
  });
}

/**
 * JSON bytes or text to a typed value.
 * @throws MailherdError INPUT_INVALID when it is not JSON or does not fit.
 */
export function decode<T extends Type.TSchema>(schema: T, data: Uint8Array | string, what: string): Type.Static<T> {
  let value: unknown;
  try {
    value = JSON.parse(typeof data === 'string' ? data : new TextDecoder('utf-8', {fatal: true}).decode(data));
  } catch (cause) {
    throw new MailherdError('INPUT_INVALID', {what, path: '/', reason: 'not JSON'}, {cause});
  }
  return parse(schema, value, what);
}

/** A value as JSON bytes; the writer is trusted to have the type right, every reader checks. */
export function encode<T extends Type.TSchema>(_schema: T, value: Type.Static<T>): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
