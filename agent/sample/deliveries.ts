import {count, mostFirst} from '../../base/counts.ts';
import {Histogram} from '../../base/histogram.ts';
import type {DeliveryFigures} from '../../wire/mail-figures.ts';
import {domainOf} from '../../wire/schema.ts';
import {destinationClass} from './destinations.ts';
import type {Delays, MailEvent} from './maillog.ts';

/** What one report tells at most; the rest is told together. */
const ROWS_TOLD_MAX = 5;
const CODES_TOLD_MAX = 4;
const ROWS_MAX = 64;
const CODES_MAX = 64;
const REST = 'other other';
const STAGES = ['before', 'queued', 'connecting', 'sending'] as const;

/** Attempts to deliver by one transport to one class of destinations. */
class Row {
  readonly statuses = {sent: 0, deferred: 0, bounced: 0, other: 0};
  readonly codes = new Map<string, number>();
  readonly delays = STAGES.map(() => new Histogram());

  get attempts(): number {
    return Object.values(this.statuses).reduce((sum, count) => sum + count, 0);
  }

  add(status: string, dsn: string, delaysMs: Delays | null): void {
    this.statuses[status === 'sent' || status === 'deferred' || status === 'bounced' ? status : 'other']++;
    if (!dsn.startsWith('2') && (this.codes.size < CODES_MAX || this.codes.has(dsn))) count(this.codes, dsn);
    for (const [at, delayMs] of (delaysMs ?? []).entries()) this.delays[at]?.add(delayMs * 1000);
  }

  merge(other: Row): void {
    for (const name of ['sent', 'deferred', 'bounced', 'other'] as const) this.statuses[name] += other.statuses[name];
    for (const [code, times] of other.codes) count(this.codes, code, times);
    for (const [at, histogram] of other.delays.entries()) this.delays[at]?.merge(histogram.pack());
  }
}

/** Sums up attempts to deliver until `take`, by transport and class of destination. */
export class DeliveryTally {
  #rows = new Map<string, Row>();

  add({transport, user, relay, status, dsn, delaysMs}: Extract<MailEvent, {kind: 'attempt'}>): void {
    const domain = domainOf(user);
    // Behind the name stands the address and the port: "mx.example[192.0.2.1]:25"
    const own = `${transport} ${destinationClass(domain, relay?.replace(/\[.*$/, '') ?? null)}`;
    const key = this.#rows.has(own) || this.#rows.size < ROWS_MAX ? own : REST;
    const row = this.#rows.get(key) ?? new Row();
    this.#rows.set(key, row);
    row.add(status, dsn, delaysMs);
  }

  /** The busiest first; what is beyond the bound as transport and destination `other`. */
  take(): DeliveryFigures[] {
    const rows = mostFirst(this.#rows, row => row.attempts);
    this.#rows = new Map();
    const told = rows.slice(0, ROWS_TOLD_MAX);
    const rest = rows.slice(ROWS_TOLD_MAX);
    if (rest.length > 0) {
      const together = new Row();
      for (const [, row] of rest) together.merge(row);
      told.push([REST, together]);
    }
    return told.map(([key, row]) => {
      const [transport = '', destination = ''] = key.split(' ');
      const codes = mostFirst(row.codes, times => times).slice(0, CODES_TOLD_MAX);
      const delays = Object.fromEntries(STAGES.map((stage, at) => [stage, row.delays[at]?.pack() ?? []]));
      return {transport, destination, ...row.statuses, dsn: Object.fromEntries(codes), delays: delays as DeliveryFigures['delays']};
    });
  }
}
