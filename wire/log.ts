import {MailherdError} from '../base/errors.ts';

/** What every part writes its log to; a pino logger fits it. Fields first, so that nobody builds sentences out of values. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How a log shows an error: a coded one by its code and details, an unexpected one with its stack. A serializer of pino's `err`. */
export function loggedError(error: unknown): object {
  if (error instanceof MailherdError) return {code: error.code, ...error.detail};
  return error instanceof Error ? {type: error.name, message: error.message, stack: error.stack} : {value: String(error)};
}
