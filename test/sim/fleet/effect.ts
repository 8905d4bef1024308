import type {Rng} from '../../../base/random.ts';
import type {Kernel} from '../../../wire/kernel.ts';

/** What is different on a host at a moment; factors are 1 and shares 0 when nothing is. */
export interface Effect {
  delivery: number;
  queueAge: number;
  probeDelivery: number;
  login: number;
  /** Deliveries to mailboxes by LMTP, and password checks of users, as Dovecot counts them. */
  lmtp: number;
  auth: number;
  /** Added to the share of probes that fail. */
  probeFailure: number;
  /** Share of the open sessions dropped in a report's interval. */
  drop: number;
  /** Factor on the host's load. */
  load: number;
  /** Added to the share of its processes that the busiest mail service has. */
  processes: number;
  kernel: Partial<Record<keyof Kernel, number>>;
}

export const NOTHING: Effect = {
  delivery: 1,
  queueAge: 1,
  probeDelivery: 1,
  login: 1,
  lmtp: 1,
  auth: 1,
  probeFailure: 0,
  drop: 0,
  load: 1,
  processes: 0,
  kernel: {},
};

/** How a fault comes and goes: severity 0..1 at `sinceMs` after its onset. `load` is the host's share of its mean load. */
export type Shape = (sinceMs: number, load: number) => number;

const MINUTE = 60_000;

export function sudden(): Shape {
  return () => 1;
}

/** Grows to its full strength within `minutes`. */
export function gradual(minutes: number): Shape {
  return sinceMs => Math.min(1, sinceMs / (minutes * MINUTE));
}

/** Full for `onMinutes` of every `everyMinutes`. */
export function periodic(onMinutes: number, everyMinutes: number): Shape {
  return sinceMs => (sinceMs % (everyMinutes * MINUTE) < onMinutes * MINUTE ? 1 : 0);
}

/** On and off by chance, `onShare` of the time, in stretches of about `minutes`. */
export function intermittent(rng: Rng, onShare: number, minutes: number): Shape {
  const stretches = Array.from({length: 64}, () => rng.unit() < onShare);
  stretches[0] = true;
  return sinceMs => (stretches[Math.floor(sinceMs / (minutes * MINUTE)) % stretches.length] === true ? 1 : 0);
}

/** Nothing below `from` of the mean load, full at twice of it. */
export function underLoad(from: number): Shape {
  return (_sinceMs, load) => Math.min(1, Math.max(0, load / from - 1));
}

/** `full` at severity 1, nothing at 0; factors grow geometrically. */
export function atSeverity(full: Partial<Effect>, severity: number): Effect {
  if (severity <= 0) return NOTHING;
  const factor = (value: number | undefined): number => (value === undefined ? 1 : value ** severity);
  return {
    delivery: factor(full.delivery),
    queueAge: factor(full.queueAge ?? full.delivery),
    probeDelivery: factor(full.probeDelivery),
    login: factor(full.login),
    lmtp: factor(full.lmtp ?? full.delivery),
    auth: factor(full.auth ?? full.login),
    probeFailure: (full.probeFailure ?? 0) * severity,
    drop: (full.drop ?? 0) * severity,
    load: factor(full.load),
    processes: (full.processes ?? 0) * severity,
    kernel: Object.fromEntries(Object.entries(full.kernel ?? {}).map(([figure, value]) => [figure, value * severity])),
  };
}

/** Both at once. */
export function combined(a: Effect, b: Effect): Effect {
  if (a === NOTHING) return b;
  if (b === NOTHING) return a;
  return {
    delivery: a.delivery * b.delivery,
    queueAge: a.queueAge * b.queueAge,
    probeDelivery: a.probeDelivery * b.probeDelivery,
    login: a.login * b.login,
    lmtp: a.lmtp * b.lmtp,
    auth: a.auth * b.auth,
    probeFailure: a.probeFailure + b.probeFailure,
    drop: a.drop + b.drop,
    load: a.load * b.load,
    processes: a.processes + b.processes,
    kernel: {...a.kernel, ...b.kernel},
  };
}
