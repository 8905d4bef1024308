import type {Millis} from '../../base/units.ts';
import {type Counters, times} from '../sample/span.ts';

/** One look a second right after a change. Pressure in percent of the last ten seconds (avg10); null where it cannot be read. */
export interface GuardLook {
  atMs: Millis;
  ioFull: number | null;
  memoryFull: number | null;
  /** Counter since boot. */
  allocStalls: number | null;
}

interface Brake {
  what: string;
  lastsMs: Millis;
  isTooMuch(look: GuardLook, base: GuardLook, before: GuardLook | undefined): boolean;
}

const STALLS_PER_SECOND = 500;
const BRAKES: readonly Brake[] = [
  {
    what: 'I/O pressure',
    lastsMs: 15_000,
    isTooMuch: ({ioFull}, base) => ioFull !== null && ioFull >= Math.max(25, 2 * (base.ioFull ?? 0) + 10),
  },
  {
    what: 'memory pressure',
    lastsMs: 10_000,
    isTooMuch: ({memoryFull}, base) => memoryFull !== null && memoryFull >= Math.max(10, (base.memoryFull ?? 0) + 5),
  },
  {
    what: 'direct reclaim',
    lastsMs: 10_000,
    isTooMuch: (look, _, before) => {
      if (before === undefined || look.allocStalls === null || before.allocStalls === null || look.atMs <= before.atMs) return false;
      return (look.allocStalls - before.allocStalls) / ((look.atMs - before.atMs) / 1_000) >= STALLS_PER_SECOND;
    },
  },
];

/**
 * Why a change must be undone at once, or null: a pressure that stayed too high for all of its time, up to the newest look.
 * @param base the look before the change.
 */
export function brake(base: GuardLook, looks: readonly GuardLook[]): string | null {
  for (const {what, lastsMs, isTooMuch} of BRAKES) {
    let sinceMs: Millis | null = null;
    for (const [at, look] of looks.entries()) {
      if (!isTooMuch(look, base, looks[at - 1])) sinceMs = null;
      else sinceMs ??= look.atMs;
    }
    const last = looks.at(-1);
    if (sinceMs !== null && last !== undefined && last.atMs - sinceMs >= lastsMs) return `${what} too high for ${lastsMs / 1_000} s`;
  }
  return null;
}

/** @param values of the host's figures. */
export function guardLookOf(values: Counters, atMs: Millis): GuardLook {
  const level = (name: string): number | null => {
    const value = values.get(name);
    return value === undefined ? null : Number(value);
  };
  return {
    atMs,
    ioFull: times(level('psiIoFullHundredths'), 0.01),
    memoryFull: times(level('psiMemoryFullHundredths'), 0.01),
    allocStalls: level('allocStalls'),
  };
}
