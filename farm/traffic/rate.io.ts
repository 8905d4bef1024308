import {readFileSync, renameSync, writeFileSync} from 'node:fs';
import Type from 'typebox';
import {decode} from '../../wire/codec.ts';
import type {Paths} from '../paths.ts';

/** How much traffic there is; may be changed while it runs. */
export const Rate = Type.Object({
  mailsPerSecond: Type.Number({minimum: 0, maximum: 200}),
  /** Mail programs at work at the same time. */
  sessions: Type.Integer({minimum: 0, maximum: 500}),
  /** Mail programs that only wait for new mail (IDLE). */
  watchers: Type.Integer({minimum: 0, maximum: 500}),
});
export type Rate = Type.Static<typeof Rate>;

export const QUIET: Rate = {mailsPerSecond: 3, sessions: 6, watchers: 24};
export const BUSY: Rate = {mailsPerSecond: 12, sessions: 14, watchers: 24};

const file = (paths: Paths): string => `${paths.run}/traffic.json`;

/** The rate that traffic follows. @throws MailherdError INPUT_INVALID. */
export function readRate(paths: Paths): Rate {
  return decode(Rate, readFileSync(file(paths), 'utf8'), file(paths));
}

/** Sets the rate; running traffic follows within a second. */
export function writeRate(paths: Paths, rate: Rate): void {
  writeFileSync(`${file(paths)}.new`, JSON.stringify(rate));
  renameSync(`${file(paths)}.new`, file(paths));
}
