import type {Clock} from '../../base/clock.ts';

interface Timer {
  at: number;
  order: number;
  fire: () => void;
}

/** Virtual time: nothing happens but what a timer starts, in one order for one seed. */
export class SimTime {
  #timers: Timer[] = [];
  #order = 0;
  now = 0;

  at(delayMs: number, fire: () => void): () => void {
    const timer = {at: this.now + Math.max(0, delayMs), order: this.#order++, fire};
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer);
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      if (signal?.aborted) return resolve();
      const cancel = this.at(ms, done);
      function done(): void {
        cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      }
      signal?.addEventListener('abort', done);
    });
  }

  /** Fires timers until `untilMs`, each after all promises of the one before have settled. `each` runs between them. */
  async run(untilMs: number, each: () => void): Promise<number> {
    let steps = 0;
    for (;;) {
      await settle();
      each();
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
      }
      if (next === undefined || next.at > untilMs) break;
      this.#timers = this.#timers.filter(other => other !== next);
      this.now = next.at;
      next.fire();
      steps++;
    }
    this.now = untilMs;
    return steps;
  }

  /** A host's clock: `offset` may be changed by a fault (the wall clock jumps), the monotonic one never. */
  clock(offset: () => number = () => 0): Clock {
    return {now: () => WALL_START + this.now + offset(), monotonic: () => this.now, sleep: (ms, signal) => this.sleep(ms, signal)};
  }
}

export const WALL_START = 1_800_000_000_000;

/** All of the simulated world's promises settle in microtasks: after one macrotask none is left. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
