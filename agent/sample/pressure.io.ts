import {systemClock} from '../../base/clock.io.ts';
import {SECOND_MS} from '../../base/units.ts';
import {type PressureTrigger, PressureWatch} from '../../native/kernel.ts';
import type {EventData} from '../../wire/event.ts';
import type {Log} from '../../wire/log.ts';
import {KERNEL_TRIGGERS, PressureAlarm, pressureFell, pressureRose} from './pressure.ts';

const LOOK_MS = 5 * SECOND_MS;

/** Who is told; an `Outbox` is one. */
interface Told {
  event: <T extends 'pressureRose' | 'pressureFell'>(type: T, data: EventData<T>) => void;
}

/**
 * Tells of pressure within a window of the kernel's, not with the next report. What the kernel refuses is logged once. Never rejects.
 * @param triggers of the machine, or the same of a control group.
 */
export async function watchPressure(
  told: Told,
  log: Log,
  signal: AbortSignal,
  triggers: readonly PressureTrigger[] = KERNEL_TRIGGERS,
): Promise<void> {
  const alarm = new PressureAlarm();
  try {
    const watch = new PressureWatch(triggers, (trigger, lateMs) => {
      const isFirst = alarm.signal(trigger, systemClock.monotonic());
      if (isFirst) told.event('pressureRose', pressureRose(trigger, watch.windowsMs[trigger] ?? 0, lateMs));
    });
    for (const {code, path} of watch.gaps) log.warn({code, path}, 'the kernel does not tell of this pressure at once: reports only');
    while (!signal.aborted) {
      await systemClock.sleep(LOOK_MS, signal);
      for (const {trigger, lastedMs} of alarm.fallen(systemClock.monotonic())) told.event('pressureFell', pressureFell(trigger, lastedMs));
    }
    watch.close();
  } catch (error) {
    log.warn({err: error}, 'pressure is not watched');
  }
}
