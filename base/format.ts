import stringWidth from 'string-width';
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

const GAP = '  ';
const PLAIN = /^[\x20-\x7e]*$/;

/**
 * Lines of a table without frames, so that it can be read, cut and grepped alike. Columns whose name ends in `#` align right. Thousands of
 * rows cost milliseconds.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head.map(name => name.replace(/#$/, '')), ...rows.map(row => row.map(oneLine))];
  const widths = head.map((_, column) => lines.reduce((most, line) => Math.max(most, widthOf(line[column] ?? '')), 0));
  const padded = (text: string, column: number): string => {
    const blanks = ' '.repeat((widths[column] ?? 0) - widthOf(text));
    return head[column]?.endsWith('#') ? blanks + text : text + blanks;
  };
  return lines.map(line => line.map(padded).join(GAP).trimEnd()).join('\n');
}

/** Columns of a terminal; our colours take none. */
function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text);
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

/** The first few of many names, and how many more there are. */
export function few(names: readonly string[], max: number): string {
  const more = names.length > max ? ` and ${names.length - max} more` : '';
  return names.slice(0, max).join(', ') + more;
}
