/** What every part writes its log to; a pino logger fits it. Fields first, so that nobody builds sentences out of values. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
