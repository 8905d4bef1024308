import {MailherdError} from '../../base/errors.ts';
import type {Instant} from '../../base/units.ts';
import {MINUTE_MS} from '../../base/units.ts';
import {decode} from '../../wire/codec.ts';
import {HostReport} from '../../wire/report.ts';
import type {Fleet} from '../fleet.ts';
import {type FoldRefusal, fold} from './fold.ts';

/** Told of a refused report, at most once a host and minute, with how many of that host were refused so far. */
export type OnRefused = (host: string, reason: string, path: string, refusedCount: number) => void;

/** Repeats and stragglers are the stream's nature, not the agent's fault. */
const EXPECTED: ReadonlySet<FoldRefusal> = new Set(['DUPLICATE', 'TOO_OLD', 'OLD_GENERATION']);

/** The door for reports: what does not fit is refused and counted, never thrown. */
export class Intake {
  readonly #fleet: Fleet;
  readonly #onRefused: OnRefused;
  readonly #refused = new Map<string, number>();
  readonly #toldAtMs = new Map<string, Instant>();
  accepted = 0;

  constructor(fleet: Fleet, onRefused: OnRefused) {
    this.#fleet = fleet;
    this.#onRefused = onRefused;
  }

  /** @param subject `mailherd.report.<host>`; @param receivedAtMs the NATS server's timestamp. */
  take(subject: string, data: Uint8Array, receivedAtMs: Instant): void {
    const host = subject.slice(subject.lastIndexOf('.') + 1);
    let report: HostReport;
    try {
      report = decode(HostReport, data, `report of ${host}`);
    } catch (error) {
      if (!(error instanceof MailherdError)) throw error;
      this.#refuse(host, String(error.detail.reason), String(error.detail.path), receivedAtMs);
      return;
    }
    const {accepted, reason} = fold(this.#fleet, report, receivedAtMs, host);
    if (accepted) this.accepted++;
    else if (reason !== null && !EXPECTED.has(reason)) this.#refuse(host, reason, '/', receivedAtMs);
  }

  refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  #refuse(host: string, reason: string, path: string, atMs: Instant): void {
    const count = (this.#refused.get(host) ?? 0) + 1;
    this.#refused.set(host, count);
    const told = this.#toldAtMs.get(host);
    if (told !== undefined && atMs - told < MINUTE_MS) return;
    this.#toldAtMs.set(host, atMs);
    this.#onRefused(host, reason, path, count);
  }
}
