import {type Look, size, span, type Tone, table, tint} from '../../base/format.ts';
import type {HostReport} from '../../wire/report.ts';
import {type Finding, isWell} from './findings.ts';

/** Below, a round trip or a flush is told by its fraction. */
const TELLING_MS = 10;
const TONES: Record<Finding['state'], Tone> = {read: 'good', absent: 'warn', unreadable: 'bad', unused: 'dim'};

/** All sources in one table, and the verdict on them in one line. */
export function renderCheck(findings: readonly Finding[], look: Look): string {
  const rows = findings.map(({source, state, detail, todo}) => [source, tint(state, TONES[state], look), detail, todo]);
  const failed = findings.filter(({state}) => state === 'unreadable').length;
  const verdict = isWell(findings) ? 'Everything that matters can be read.' : `${failed} of ${findings.length} cannot be read.`;
  return `${table(['SOURCE', 'STATE', 'WHAT', 'TO DO'], rows)}\n\n${verdict}`;
}

/** A report as names and values; `-`: not known. Rows of numbers are histograms and are left to `--json`. */
export function renderReport({agent, ...report}: HostReport): string {
  const {failing, ...self} = agent;
  const rows = figuresOf('', {...report, agent: self});
  const problems = Object.entries(failing);
  const parts = [table(['FIGURE', 'VALUE'], rows)];
  if (problems.length > 0) parts.push(table(['GAVE NOTHING', 'WHY'], problems));
  parts.push(
    'Of logs, probes and routes only the running agent tells: "mailherd agent check" shows whether it can, its reports what it sees.',
  );
  return parts.join('\n\n');
}

function figuresOf(name: string, value: unknown): string[][] {
  if (value === undefined) return [];
  if (Array.isArray(value)) {
    if (value.length === 0) return [[name, 'none']];
    if (value.length === 2 && value.every(one => typeof one === 'number')) return [[name, value.join(' of ')]];
    if (value.every(one => typeof one === 'number')) return [[name, 'histogram']];
    return value.flatMap((one, at) => figuresOf(`${name}.${at}`, one));
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => figuresOf(name === '' ? key : `${name}.${key}`, inner));
  }
  return [[name, figureOf(name, value)]];
}

/** The unit stands at the end of the name. */
function figureOf(name: string, value: unknown): string {
  if (value === null) return '-';
  if (typeof value !== 'number') return String(value);
  if (/AtMs$/.test(name)) return new Date(value).toISOString();
  if (/[bB]ytes(Max)?$/.test(name)) return size(value);
  if (/Ms(P\d+|Max)?$/.test(name)) return value < TELLING_MS ? `${value} ms` : span(value);
  return String(value);
}
