import {mostFirst} from '../../base/counts.ts';
import {Histogram} from '../../base/histogram.ts';
import type {LatencyFigures} from '../../wire/mail-figures.ts';

/** Powers of two from 64 us to 67 s. */
const BY_DURATION = 'duration:exponential:6:26:2';

interface Metric {
  name: string;
  filter: string;
  groupBy: string;
}

/**
 * What Dovecot is asked to count, beside whatever its administrator lets it count: metrics that are added while it runs and are gone with
 * its next restart, so that no configuration is touched. Names of commands are Dovecot's own few, never what a client typed.
 * @param probeUser a probe mailbox outside the agents' own domain, which is not counted either; null: there is none.
 */
export function metricsFor(probeUser: string | null): Metric[] {
  const ofUsers = `NOT user=*.mailherd.invalid${probeUser === null ? '' : ` AND NOT user=${quoted(probeUser)}`}`;
  return [
    {
      name: 'mailherd_imap',
      filter: `event=imap_command_finished AND NOT cmd_name=IDLE AND ${ofUsers}`,
      groupBy: `cmd_name ${BY_DURATION}`,
    },
    {name: 'mailherd_lmtp', filter: `event=mail_delivery_finished AND ${ofUsers}`, groupBy: BY_DURATION},
    // How long a login waits for its password to be checked; a wrong one is made to wait on purpose.
    {name: 'mailherd_login', filter: `event=auth_client_request_finished AND NOT error=* AND ${ofUsers}`, groupBy: BY_DURATION},
  ];
}

/** As Dovecot's event filters take any text. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** The request that adds a metric: name, description, fields, groups, filter, exporter, what to export. */
export function addRequest({name, filter, groupBy}: Metric): string {
  return ['METRICS-ADD', name, 'Mailherd', '', groupBy, filter, '', ''].join('\t');
}

export const DUMP_REQUEST = 'DUMP\tcount';

/** Metrics that a dump has not: Dovecot has begun anew. @param lines of the dump */
export function missingMetrics(lines: readonly string[], metrics: readonly Metric[]): Metric[] {
  const names = new Set(lines.map(line => line.split('\t')[0]));
  return metrics.filter(({name}) => !names.has(name));
}

const BUCKET = /^mailherd_(imap|lmtp|login)(?:_([A-Z][A-Z0-9_-]*|unknown))?_duration_(ninf|\d+)_(\d+|inf)\t(\d+)$/;
const COMMANDS_MAX = 64;
const COMMANDS_TOLD_MAX = 5;

/** Turns counters of a running Dovecot into latencies of one interval. */
export class Latencies {
  #before: ReadonlyMap<string, number> | null = null;

  /**
   * @param lines of a dump. @returns what happened since the one before; null for the first one. Counters that went backwards began anew.
   */
  take(lines: readonly string[]): LatencyFigures[] | null {
    const before = this.#before;
    const now = new Map<string, number>();
    const histograms = new Map<string, Histogram>();
    for (const line of lines) {
      const [, metric, command, from = '', to = '', count] = BUCKET.exec(line) ?? [];
      if (metric === undefined) continue;
      const key = line.slice(0, line.indexOf('\t'));
      const total = Number(count);
      if (!Number.isSafeInteger(total)) continue;
      now.set(key, total);
      const earlier = before?.get(key) ?? 0;
      const name = command === undefined ? metric : `${metric} ${command.replaceAll('_', ' ')}`;
      if (histograms.size < COMMANDS_MAX || histograms.has(name)) {
        const histogram = histograms.get(name) ?? new Histogram();
        histograms.set(name, histogram);
        histogram.add(middleOf(from, to), total >= earlier ? total - earlier : total);
      }
    }
    this.#before = now;
    return before === null ? null : told(histograms);
  }
}

/** Dovecot counts by octaves: each value is put in the geometric middle of its own. */
function middleOf(from: string, to: string): number {
  if (from === 'ninf') return Number(to) / 2;
  if (to === 'inf') return Number(from) * 2;
  return Math.sqrt(Number(from) * Number(to));
}

/** The busiest IMAP commands by name, the others together; LMTP and logins as they are. */
function told(histograms: ReadonlyMap<string, Histogram>): LatencyFigures[] {
  const used = [...histograms].filter(([, histogram]) => histogram.count > 0);
  const rows = mostFirst(used, histogram => histogram.count);
  const commands = rows.filter(([name]) => name.startsWith('imap'));
  const rest = new Histogram();
  for (const [, histogram] of commands.slice(COMMANDS_TOLD_MAX)) rest.merge(histogram.pack());
  const named = [...rows.filter(row => !commands.includes(row)), ...commands.slice(0, COMMANDS_TOLD_MAX)];
  return [...named, ...(rest.count > 0 ? [['imap other', rest] as const] : [])].map(([of, histogram]) => ({of, us: histogram.pack()}));
}
