import Table from 'cli-table3';
import type {Instant, Millis} from './units.ts';

/** How to print: colour only where a terminal shows it; ages count from `nowMs`. */
export interface Look {
  colour: boolean;
  nowMs: Instant;
}

export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'plain';
const SGR: Record<Tone, string> = {good: '32', bad: '31', warn: '33', dim: '2', plain: ''};

/** Text in the colour of its meaning, or as it is where there is no colour. */
export function tint(text: string, tone: Tone, look: Look): string {
  return look.colour && tone !== 'plain' ? `\u001b[${SGR[tone]}m${text}\u001b[0m` : text;
}

/** Lines of a table without frames, so that it can be read, cut and grepped alike. Columns whose name ends in `#` align right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = '';
  const lines = new Table({
    head: head.map(name => name.replace(/#$/, '')),
    colAligns: head.map(name => (name.endsWith('#') ? 'right' : 'left')),
    style: {head: [], border: [], 'padding-left': 0, 'padding-right': 2},
    chars: {
      top: none,
      'top-mid': none,
      'top-left': none,
      'top-right': none,
      bottom: none,
      'bottom-mid': none,
      'bottom-left': none,
      'bottom-right': none,
      left: none,
      'left-mid': none,
      mid: none,
      'mid-mid': none,
      right: none,
      'right-mid': none,
      middle: none,
    },
  });
  lines.push(...rows.map(row => row.map(oneLine)));
  return lines
    .toString()
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n');
}

/** Names and values under each other. */
export function facts(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${oneLine(value)}`.trimEnd()).join('\n');
}

/** What comes from the farm must not steer the terminal: control characters are shown, not sent. Our own colours stay. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/\u001b(?!\[\d{0,2}m)|[\u0000-\u001a\u001c-\u001f\u007f-\u009f]/g, '?');
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes in powers of 1000, three digits. */
export function size(bytes: number | null): string {
  if (bytes === null) return '-';
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A span in its two greatest units: 850 ms, 4.2 s, 3 m 05 s, 2 h 10 m, 5 d 3 h. */
export function span(ms: Millis | null): string {
  if (ms === null) return '-';
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** UTC, to the second. */
export function instant(atMs: Instant): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 2 : 1)} %`;
}

export function labels(values: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? '-' : pairs.join(' ');
}
