import {systemClock} from './clock.io.ts';
import type {Look} from './format.ts';

/** How standard output is to be written to: in colour on a terminal, unless NO_COLOR is set (no-color.org). */
export function look(): Look {
  return {colour: process.stdout.isTTY === true && process.env.NO_COLOR === undefined, nowMs: systemClock.now()};
}
