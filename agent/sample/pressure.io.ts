import {systemClock} from '../../base/clock.io.ts';
import {SECOND_MS} from '../../base/units.ts';
import {PressureWatch} from '../../native/kernel.ts';
import type {EventData} from '../../wire/event.ts';
import type {Log} from '../../wire/log.ts';
import {PRESSURE_TRIGGERS, PressureAlarm, pressureFell, pressureRose} from './pressure.ts';

const LOOK_MS = 5 * SECOND_MS;

interface Options {
  tell: <T extends 'pressureRose' | 'pressureFell'>(type: T, data: EventData<T>) => void;
  log: Log;
  signal: AbortSignal;
}

/** Tells of pressure within a window of the kernel's, not with the next report. What the kernel refuses is logged once. */
export async function watchPressure({tell, log, signal}: Options): Promise<void> {
  const alarm = new PressureAlarm();
  const triggers = PRESSURE_TRIGGERS.map(({resource, ...rest}) => ({path: `/proc/pressure/${resource}`, ...rest}));
  const watch = new PressureWatch(triggers, (trigger, lateMs) => {
    if (alarm.signal(trigger, systemClock.monotonic())) tell('pressureRose', pressureRose(trigger, watch.windowsMs[trigger] ?? 0, lateMs));
  });
  for (const {code, path} of watch.gaps) log.warn({code, path}, 'the kernel does not tell of this pressure at once: reports only');
  while (!signal.aborted) {
    await systemClock.sleep(LOOK_MS, signal);
    for (const {trigger, lastedMs} of alarm.fallen(systemClock.monotonic())) tell('pressureFell', pressureFell(trigger, lastedMs));
  }
  watch.close();
}
