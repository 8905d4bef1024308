import Type from 'typebox';
import type {Instant, Millis} from '../../base/units.ts';
import type {EventData} from '../../wire/event.ts';
import {Count} from '../../wire/schema.ts';
import {Complaints} from './complaints.ts';
import {KERNEL_TROUBLES, kernelMessageOf, parseKernelRecord, QUIET_AFTER_MS} from './kernel-messages.ts';

/** A trouble that is not over; kept over restarts. */
const OpenTrouble = Type.Object({
  trouble: Type.Enum(KERNEL_TROUBLES),
  of: Type.String(),
  /** The newest complaint in the kernel's own words. */
  text: Type.String(),
  isTold: Type.Boolean(),
  sinceMs: Type.Number(),
  lastMs: Type.Number(),
  complaints: Count,
});
type OpenTrouble = Type.Static<typeof OpenTrouble>;

/** Up to where the log was read, in which boot, and what was open. */
export const KernelLogPosition = Type.Object({boot: Type.String(), sequence: Type.Integer({minimum: 0}), open: Type.Array(OpenTrouble)});
export type KernelLogPosition = Type.Static<typeof KernelLogPosition>;

const TEXT_CHARS_MAX = 160;

/** Who is told; an `Outbox` is one. */
export interface TroubleTold {
  event: <T extends 'kernelTroubleBegan' | 'kernelTroubleEnded'>(type: T, data: EventData<T>) => void;
}

/** Which of the kernel's complaints stand, from the records of its log. */
export class KernelTroubles {
  readonly #boot: string;
  readonly #told: TroubleTold;
  readonly #startedAtMs: Instant;
  readonly #all: Complaints<OpenTrouble>;
  /** Sequence number of the next record that is new. */
  #next: number;
  /** Records that the kernel had overwritten before they were read. */
  lost = 0;

  /**
   * @param boot id of this boot: what an earlier one complained of is over, the kernel says again what lasts.
   * @param position where the former agent stopped; null: nowhere. @param nowMs since when this agent looks.
   */
  constructor(boot: string, told: TroubleTold, position: KernelLogPosition | null, nowMs: Instant) {
    this.#boot = boot;
    this.#told = told;
    this.#startedAtMs = nowMs;
    const rules = {
      keyOf: ({trouble, of}: Pick<OpenTrouble, 'trouble' | 'of'>) => `${trouble} ${of}`,
      clearAfterMs: ({trouble}: OpenTrouble) => QUIET_AFTER_MS[trouble],
    };
    this.#all = new Complaints(rules, position?.open ?? []);
    const isSameBoot = position?.boot === boot;
    this.#next = isSameBoot ? position.sequence : 0;
    if (!isSameBoot) this.#end(this.#all.end(() => true));
  }

  get position(): KernelLogPosition {
    return {boot: this.#boot, sequence: this.#next, open: this.#all.open};
  }

  get open(): OpenTrouble[] {
    return this.#all.open;
  }

  /** Those that are not over yet, also while older records are still being read. */
  standing(nowMs: Instant): OpenTrouble[] {
    return this.#all.open.filter(({trouble, lastMs}) => nowMs - lastMs < QUIET_AFTER_MS[trouble]);
  }

  /** @param ageMsOf how long ago a moment of the kernel's clock was. @returns true when a trouble began or ended. */
  take(line: string, nowMs: Instant, ageMsOf: (atUs: number) => Millis): boolean {
    const record = parseKernelRecord(line);
    if (record === null || record.sequence < this.#next) return false;
    // The kernel counts each record; before the first one that is read nothing was missed that anybody waited for.
    if (this.#next > 0) this.lost += record.sequence - this.#next;
    this.#next = record.sequence + 1;
    const message = record.isKernel ? kernelMessageOf(record.text) : null;
    if (message === null) return false;
    const atMs = nowMs - Math.max(ageMsOf(record.atUs), 0);
    const {trouble, of, isOver} = message;
    if (isOver) return this.#end(this.#all.end(one => one.trouble === trouble && one.of === of));
    const text = record.text.slice(0, TEXT_CHARS_MAX);
    const seen = this.#all.saw({trouble, of, text, isTold: false}, atMs);
    if (seen !== null) seen.one.text = text;
    // What began and ended before anybody looked is no news; what stands is told by `settle`.
    if (seen?.isNew && atMs >= this.#startedAtMs) this.#begin(seen.one);
    return seen?.isNew === true;
  }

  /** After all that there was has been read. @returns true when a trouble began or ended. */
  settle(nowMs: Instant): boolean {
    const hasEnded = this.#end(this.#all.clear(nowMs));
    const untold = this.#all.open.filter(({isTold}) => !isTold);
    for (const one of untold) this.#begin(one);
    return hasEnded || untold.length > 0;
  }

  #begin(one: OpenTrouble): void {
    one.isTold = true;
    const {trouble, of, text} = one;
    this.#told.event('kernelTroubleBegan', {trouble, of, text, clearAfterMs: QUIET_AFTER_MS[trouble]});
  }

  #end(ended: readonly OpenTrouble[]): boolean {
    for (const {trouble, of, isTold, sinceMs, lastMs, complaints} of ended) {
      if (isTold) this.#told.event('kernelTroubleEnded', {trouble, of, lastedMs: Math.max(lastMs - sinceMs, 0), complaints});
    }
    return ended.length > 0;
  }
}
