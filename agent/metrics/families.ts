import type Type from 'typebox';
import {Histogram} from '../../base/histogram.ts';
import type {Instant} from '../../base/units.ts';
import {HistogramUs} from '../../wire/mail-figures.ts';
import {HostReport} from '../../wire/report.ts';
import type {CollectorFigures} from '../sample/collect.io.ts';
import type {Family, Sample} from './openmetrics.ts';

type Labels = Sample['labels'];
type Add = (name: string, unit: string, help: string, value: number, labels: Labels) => void;

/** How a name's unit is said in OpenMetrics, and what a value is multiplied with. */
const UNITS: readonly [RegExp, string, number][] = [
  [/MsPerSecond$/, 'seconds_per_second', 1e-3],
  [/PerSecond$/, 'per_second', 1],
  [/Ms(P\d+|Max)?$/, 'seconds', 1e-3],
  [/[Uu]s(P\d+|Max)?$/, 'seconds', 1e-6],
  [/Bytes(Max)?$/, 'bytes', 1],
  [/(?:Share|Ratio)(Max)?$/, 'ratio', 1],
  [/^psi\w*10$/, 'percent', 1],
];
/** Groups of a report that are figures of the host; the rest is said by others of these families. */
const GROUPS = ['slis', 'load', 'kernel', 'system', 'queue', 'mailStore', 'mailFigures', 'agent'] as const;

/** What is told of a histogram. */
const RANKS = {P50: 0.5, P95: 0.95, P99: 0.99} as const;

/**
 * Everything of the newest report that is a number or a yes or no, under names made of the report's own; absent figures are absent. Of a
 * histogram how many values it has and the middle, 95th and 99th percentile: its buckets would be a series each.
 */
export function familiesOf(report: HostReport, collectors: ReadonlyMap<string, CollectorFigures>, nowMs: Instant): Family[] {
  const families = new Map<string, Family & {samples: Sample[]}>();
  const add: Add = (name, unit, help, value, labels) => {
    const family = families.get(name) ?? {name, type: 'gauge' as const, unit, help, samples: []};
    families.set(name, family);
    const isThere = family.samples.some(sample => JSON.stringify(sample.labels) === JSON.stringify(labels));
    if (!isThere) family.samples.push({labels, value});
  };
  for (const group of GROUPS) walk(HostReport.properties[group], report[group], [group], {}, add);
  const {host, role, labels} = report;
  return [
    {name: 'mailherd_host', type: 'info', unit: '', help: 'What this host is.', samples: [{labels: {...labels, host, role}, value: 1}]},
    {
      name: 'mailherd_report_age_seconds',
      type: 'gauge',
      unit: 'seconds',
      help: 'Time since the newest report was made.',
      samples: [{labels: {}, value: Math.max(nowMs - report.sampledAtMs, 0) / 1000}],
    },
    ...collectorFamilies(collectors, report.agent.failing),
    ...families.values(),
  ];
}

function walk(schema: Type.TSchema | undefined, value: unknown, path: readonly string[], labels: Labels, add: Add): void {
  const shape = chosen(schema, value);
  if (typeof value === 'number' || typeof value === 'boolean') {
    const last = path.at(-1) ?? '';
    const [pattern, unit, factor] = UNITS.find(([ending]) => ending.test(last)) ?? [null, '', 1];
    const bare =
      unit === 'percent' || pattern === null
        ? last
        : last.replace(pattern, (_, suffix: unknown) => (typeof suffix === 'string' ? suffix : ''));
    const name = ['mailherd', ...path.slice(0, -1), bare, unit]
      .filter(part => part !== '')
      .map(snakeOf)
      .join('_');
    const help = `${path.join('.')} of the report${shape?.description === undefined ? '' : `, ${shape.description}`}`;
    add(name, unit, help, Number(value) * factor, labels);
    return;
  }
  if (value === null || typeof value !== 'object') return;
  if (Array.isArray(value)) {
    walkArray(shape, value, path, labels, add);
    return;
  }
  const named = shape?.properties;
  const any = Object.values(shape?.patternProperties ?? {})[0];
  for (const [key, item] of Object.entries(value)) {
    if (named?.[key] !== undefined) walk(named[key], item, [...path, key], labels, add);
    else if (any !== undefined) walk(any, item, path, {...labels, name: key}, add);
  }
}

/** Rows of a table, the two figures of a pair, or a histogram. */
function walkArray(shape: Shape | undefined, values: readonly unknown[], path: readonly string[], labels: Labels, add: Add): void {
  const items = shape?.items;
  if (shape === HistogramUs) {
    walkHistogram(values as number[], path, labels, add);
    return;
  }
  if (Array.isArray(items)) {
    for (const [at, item] of items.entries()) walk(item, values[at], [...path, item.title ?? String(at)], labels, add);
    return;
  }
  for (const value of values) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) continue;
    const own = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
    walk(items, value, path, {...labels, ...Object.fromEntries(own)}, add);
  }
}

function walkHistogram(packed: readonly number[], path: readonly string[], labels: Labels, add: Add): void {
  const histogram = new Histogram();
  histogram.merge(packed);
  const name = path.at(-1) === 'us' ? path.slice(0, -1) : path;
  walk(undefined, histogram.count, [...name, 'count'], labels, add);
  for (const [rank, share] of Object.entries(RANKS)) walk(undefined, histogram.percentile(share), [...name, `us${rank}`], labels, add);
}

interface Shape extends Type.TSchema {
  title?: string;
  description?: string;
  anyOf?: Shape[];
  properties?: Record<string, Shape>;
  patternProperties?: Record<string, Shape>;
  /** Of a pair one for each. */
  items?: Shape | Shape[];
}

/** Of a value that may be null: how it looks when it is not. */
function chosen(schema: Type.TSchema | undefined, value: unknown): Shape | undefined {
  const shape = schema as Shape | undefined;
  return value === null ? shape : (shape?.anyOf?.[0] ?? shape);
}

function snakeOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9_]/g, '_')
    .toLowerCase();
}

function collectorFamilies(collectors: ReadonlyMap<string, CollectorFigures>, failing: Readonly<Record<string, string>>): Family[] {
  const all = [...collectors];
  const names = new Set([...collectors.keys(), ...Object.keys(failing)]);
  return [
    {
      name: 'mailherd_collector_up',
      type: 'gauge',
      unit: '',
      help: '0: it gave nothing in the newest interval; the reason is in the report and in "mailherd agent check".',
      samples: [...names].map(collector => ({labels: {collector}, value: failing[collector] === undefined ? 1 : 0})),
    },
    {
      name: 'mailherd_collector_duration_seconds',
      type: 'gauge',
      unit: 'seconds',
      help: 'How long the last call took that gave a value.',
      samples: all.flatMap(([collector, {lastMs}]) => (lastMs === null ? [] : [{labels: {collector}, value: lastMs / 1000}])),
    },
    {
      name: 'mailherd_collector_busy_seconds',
      type: 'counter',
      unit: 'seconds',
      help: 'Time of all calls that gave a value, since the agent started.',
      samples: all.map(([collector, {totalMs}]) => ({labels: {collector}, value: totalMs / 1000})),
    },
    {
      name: 'mailherd_collector_calls',
      type: 'counter',
      unit: '',
      help: 'Calls that gave a value, failed, or missed their deadline, since the agent started.',
      samples: all.flatMap(([collector, {gave, failed, missed}]) =>
        Object.entries({gave, failed, missed}).map(([result, value]) => ({labels: {collector, result}, value})),
      ),
    },
  ];
}
