import {systemClock} from '../base/clock.io.ts';
import {MINUTE_MS, type Millis} from '../base/units.ts';
import type {Log} from '../wire/log.ts';
import {tellSystemd} from './boot.io.ts';

/** A round is late, not stuck, for so long beyond its interval: every deadline of its sources in a row is less. */
const LATE_MS_MAX = MINUTE_MS;

interface WatchdogOptions {
  /** WATCHDOG_USEC of sd_notify(3); undefined: nobody watches. */
  timeoutUs: string | undefined;
  intervalMs: Millis;
  log: Log;
  signal: AbortSignal;
  tell?: (state: string) => void;
}

/**
 * Tells systemd that the agent lives, for as long as the sampling loop really goes round: an event loop that stands still tells
 * nothing, and one that turns while the sampling is stuck neither. systemd then ends the process and starts it anew.
 * @returns to be called at the end of each round.
 */
export function startWatchdog({timeoutUs, intervalMs, log, signal, tell = tellSystemd}: WatchdogOptions): () => void {
  let roundAtMs = systemClock.monotonic();
  const pauseMs = Number(timeoutUs) / 1000 / 3;
  if (pauseMs > 0) void watch();
  return () => {
    roundAtMs = systemClock.monotonic();
  };

  function tellLife(): void {
    try {
      tell('WATCHDOG=1');
    } catch (error) {
      log.warn({error: String(error)}, 'systemd could not be told of life');
    }
  }

  async function watch(): Promise<void> {
    let isStuck = false;
    while (!signal.aborted) {
      const silentMs = systemClock.monotonic() - roundAtMs;
      const wasStuck = isStuck;
      isStuck = silentMs > intervalMs + LATE_MS_MAX;
      if (!isStuck) tellLife();
      else if (!wasStuck) log.error({silentMs: Math.round(silentMs)}, 'the sampling loop is stuck; systemd is left to end this process');
      await systemClock.sleep(pauseMs, signal);
    }
  }
}
