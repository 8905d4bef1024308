import type {Instant, Millis} from '../../base/units.ts';
import type {PressureTrigger} from '../../native/kernel.ts';
import type {EventData} from '../../wire/event.ts';

/** What the kernel is asked to tell at once: tasks that waited for more than `share` of its window. */
const PRESSURE_TRIGGERS = [
  {resource: 'cpu', isFull: false, share: 0.8},
  {resource: 'memory', isFull: true, share: 0.1},
  {resource: 'io', isFull: true, share: 0.3},
] as const;
/** The same, as the kernel takes them. */
export const KERNEL_TRIGGERS: readonly PressureTrigger[] = PRESSURE_TRIGGERS.map(({resource, ...rest}) => ({
  path: `/proc/pressure/${resource}`,
  ...rest,
}));

/** The kernel signals once a window, of at most 2 s, for as long as it lasts: with none for so long, it is over. */
export const QUIET_MS: Millis = 30_000;

interface Pressed {
  sinceMs: Instant;
  lastMs: Instant;
}

/** Makes one rise and one fall of the signals in between. Times are of one clock. */
export class PressureAlarm {
  readonly #pressed = new Map<number, Pressed>();

  /** @returns true for the first signal of a trigger since it was quiet. */
  signal(trigger: number, nowMs: Instant): boolean {
    const pressed = this.#pressed.get(trigger);
    if (pressed !== undefined) pressed.lastMs = nowMs;
    else this.#pressed.set(trigger, {sinceMs: nowMs, lastMs: nowMs});
    return pressed === undefined;
  }

  /** Triggers that have become quiet, and for how long they were not. */
  fallen(nowMs: Instant): {trigger: number; lastedMs: Millis}[] {
    const fallen: {trigger: number; lastedMs: Millis}[] = [];
    for (const [trigger, {sinceMs, lastMs}] of this.#pressed) {
      if (nowMs - lastMs < QUIET_MS) continue;
      this.#pressed.delete(trigger);
      fallen.push({trigger, lastedMs: lastMs - sinceMs});
    }
    return fallen;
  }
}

/** The event of a trigger that went off. @param windowMs that the kernel granted; @param lateMs from its waking us to the event. */
export function pressureRose(trigger: number, windowMs: Millis, lateMs: Millis): EventData<'pressureRose'> {
  const {resource, isFull, share} = PRESSURE_TRIGGERS[trigger] ?? PRESSURE_TRIGGERS[0];
  return {resource, kind: isFull ? 'full' : 'some', share, windowMs, lateMs: Math.round(lateMs * 10) / 10};
}

export function pressureFell(trigger: number, lastedMs: Millis): EventData<'pressureFell'> {
  const {resource, isFull} = PRESSURE_TRIGGERS[trigger] ?? PRESSURE_TRIGGERS[0];
  return {resource, kind: isFull ? 'full' : 'some', lastedMs: Math.round(lastedMs)};
}
