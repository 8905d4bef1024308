import type {Millis, Ratio} from '../../base/units.ts';

export type ProbeKind = 'delivery' | 'lmtp' | 'login' | 'idle' | 'smtpBanner' | 'imapBanner';

/** How one probe went. Running into its deadline is a failure. */
export type ProbeOutcome =
  | {probe: ProbeKind; ok: true; tookMs: Millis; idle?: IdleCount}
  | {probe: ProbeKind; ok: false; reason: string; idle?: IdleCount};

/** Connections that idle now, and those that were lost since the last look. */
interface IdleCount {
  open: number;
  dropped: number;
}

/** The probes that ended in one interval; times are the worst of it, null when none came through. */
export interface ProbeFigures {
  /** Of the kind that fared worst: that one way is closed is no less felt where others are open. null when none ended. */
  failureShare: Ratio | null;
  deliveryMs: Millis | null;
  loginMs: Millis | null;
  lmtpMs: Millis | null;
  /** Connections that idled at the last look, and all that were lost in the interval; null when nobody looked. */
  idle: IdleCount | null;
}

/** Sums up outcomes until `take`. */
export class ProbeTally {
  #outcomes: ProbeOutcome[] = [];

  add(outcome: ProbeOutcome): void {
    this.#outcomes.push(outcome);
  }

  /** Figures since the last `take`. */
  take(): ProbeFigures {
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    const idle = outcomes.flatMap(outcome => outcome.idle ?? []);
    const worst = (probe: ProbeKind): Millis | null => {
      const times = outcomes.flatMap(outcome => (outcome.probe === probe && outcome.ok ? [outcome.tookMs] : []));
      return times.length === 0 ? null : Math.max(...times);
    };
    return {
      failureShare: worstShare(outcomes),
      deliveryMs: worst('delivery'),
      loginMs: worst('login'),
      lmtpMs: worst('lmtp'),
      idle: idle.length === 0 ? null : {open: idle.at(-1)?.open ?? 0, dropped: idle.reduce((sum, {dropped}) => sum + dropped, 0)},
    };
  }
}

function worstShare(outcomes: readonly ProbeOutcome[]): Ratio | null {
  if (outcomes.length === 0) return null;
  const kinds = new Set(outcomes.map(({probe}) => probe));
  const shareOf = (kind: ProbeKind): Ratio => {
    const own = outcomes.filter(({probe}) => probe === kind);
    return own.filter(({ok}) => !ok).length / own.length;
  };
  return Math.max(...[...kinds].map(shareOf));
}
