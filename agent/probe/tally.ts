import type {Millis} from '../../base/units.ts';

export type ProbeKind = 'delivery' | 'login' | 'idle' | 'smtpBanner' | 'imapBanner';

/** How one probe went. Running into its deadline is a failure. */
export type ProbeOutcome = {probe: ProbeKind; ok: true; tookMs: Millis} | {probe: ProbeKind; ok: false; reason: string};

/** The probes that ended in one interval; times are the worst of it, null when none came through. */
export interface ProbeFigures {
  attempts: number;
  failures: number;
  deliveryMs: Millis | null;
  loginMs: Millis | null;
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
    const worst = (probe: ProbeKind): Millis | null => {
      const times = outcomes.flatMap(outcome => (outcome.probe === probe && outcome.ok ? [outcome.tookMs] : []));
      return times.length === 0 ? null : Math.max(...times);
    };
    return {
      attempts: outcomes.length,
      failures: outcomes.filter(outcome => !outcome.ok).length,
      deliveryMs: worst('delivery'),
      loginMs: worst('login'),
    };
  }
}
