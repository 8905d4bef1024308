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
  /**
   * Of the kind that fared worst: that one way is closed is no less felt where others are open. Of a kind that did not end in the interval
   * its last probe stands. null when none ended at all.
   */
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
  /** Kinds of this round and of the one before whose last probe failed. */
  readonly #failed = new Set<ProbeKind>();
  readonly #tried = new Set<ProbeKind>();

  add(outcome: ProbeOutcome): void {
    this.#outcomes.push(outcome);
    this.#tried.add(outcome.probe);
    if (outcome.ok) this.#failed.delete(outcome.probe);
    else this.#failed.add(outcome.probe);
  }

  /** All probes of a round have ended: what could not be tried in it is not known to fail any more. */
  endRound(): void {
    for (const kind of this.#failed) if (!this.#tried.has(kind)) this.#failed.delete(kind);
    this.#tried.clear();
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
      failureShare: worstShare(outcomes, this.#failed),
      deliveryMs: worst('delivery'),
      loginMs: worst('login'),
      lmtpMs: worst('lmtp'),
      idle: idle.length === 0 ? null : {open: idle.at(-1)?.open ?? 0, dropped: idle.reduce((sum, {dropped}) => sum + dropped, 0)},
    };
  }
}

/** Probes that run into their deadline take longer than an interval: quick ones that end meanwhile say nothing of theirs. */
function worstShare(outcomes: readonly ProbeOutcome[], failed: ReadonlySet<ProbeKind>): Ratio | null {
  if (outcomes.length === 0) return null;
  const kinds = new Set(outcomes.map(({probe}) => probe));
  if ([...failed].some(kind => !kinds.has(kind))) return 1;
  const shareOf = (kind: ProbeKind): Ratio => {
    const own = outcomes.filter(({probe}) => probe === kind);
    return own.filter(({ok}) => !ok).length / own.length;
  };
  return Math.max(...[...kinds].map(shareOf));
}
