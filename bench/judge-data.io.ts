import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {parse} from 'yaml';
import {type Rng, seededRng} from '../base/random.ts';
import type {Labels} from '../wire/schema.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';
import type {Shelf} from './outside/drives.ts';
import {type DriveFigures, scoreDrives} from './outside/drives-score.ts';
import {type ElementFigures, type Incident, scoreIncidents} from './outside/elements.ts';
import {judgeSeries, type Series} from './outside/siblings.ts';
import {readTable} from './outside/table.io.ts';
import {lacking, thinned} from './outside/variants.ts';

/** Drives of cluster A that are truly slow, as its publishers say. */
const SLOW_DRIVES = ['22/11', '25/8'];
/** Each incident is changed so many times. */
const VARIANTS = 3;
/** Units in which less is better. */
const TIMES = new Set(['ms', 'msec', 'ns', 'us Per Event']);

export const benchmark: Benchmark = {
  summary: "outside data judged by the farm's own comparison and search: slow drives, well machines, elements at fault",
  options: {
    data: {type: 'string', help: 'folder with perseus-a, azure-westus2 and riskloc; what is absent is said and left out'},
    draws: {type: 'string', default: '200', help: 'normal drives slowed for each percentage'},
    seed: {type: 'string', default: '1', help: 'draws the drives'},
    list: {type: 'boolean', default: false, help: 'say what was mistaken'},
  },
  run(options, say) {
    if (typeof options.data !== 'string') throw new Error('--data DIR is needed: outside data are not part of the project');
    const {data, list} = options;
    const draws = wholeNumber(options.draws, 'draws', 1, 100_000);
    const seed = wholeNumber(options.seed, 'seed', 0, 1e9);
    const within = <T>(name: string, look: (folder: string) => T): T | null => {
      const folder = join(data, name);
      if (existsSync(folder)) return look(folder);
      say(`${folder} is absent: not judged`);
      return null;
    };
    const mistaken = (text: string): void => {
      if (list === true) say(text);
    };
    const perseus = within('perseus-a', (folder): DriveFigures => scoreDrives(shelvesIn(folder), SLOW_DRIVES, draws, seededRng(seed)));
    const azure = within('azure-westus2', folder => wellMachines(folder, mistaken));
    const riskloc = within('riskloc', folder => incidentFigures(incidentsIn(folder), seededRng(seed), mistaken));
    return Promise.resolve({perseus, azure, riskloc});
  },
};

function shelvesIn(folder: string): Shelf[] {
  const shelves = new Map<string, Map<number, Shelf['minutes'][number]['drives']>>();
  for (const file of readdirSync(folder)
    .filter(name => name.endsWith('.csv.gz'))
    .sort()) {
    for (const {minute, host = '', disk = '', throughput_mean, latency_mean} of readTable(join(folder, file))) {
      const minutes = shelves.get(host) ?? new Map<number, Shelf['minutes'][number]['drives']>();
      shelves.set(host, minutes);
      const atMs = Number(minute) * 1000;
      const drives = minutes.get(atMs) ?? [];
      minutes.set(atMs, drives);
      drives.push({drive: disk, throughput: Number(throughput_mean), latency: Number(latency_mean)});
    }
  }
  return [...shelves].map(([name, minutes]) => ({
    name,
    minutes: [...minutes].sort(([a], [b]) => a - b).map(([atMs, drives]) => ({atMs, drives})),
  }));
}

function wellMachines(folder: string, mistaken: (text: string) => void): {series: number; readings: number; falseVerdicts: number} {
  const figures = {series: 0, readings: 0, falseVerdicts: 0};
  for (const file of readdirSync(folder)
    .filter(name => name.endsWith('.csv.gz'))
    .sort()) {
    const all = new Map<string, Series>();
    for (const {sku, suite, test, unit = '', vm = '', start = '', value} of readTable(join(folder, file))) {
      const name = [file, sku, suite, test, unit].join(' ');
      const series = all.get(name) ?? {name, isRate: !TIMES.has(unit), readings: []};
      all.set(name, series);
      series.readings.push({vm, atMs: Date.parse(`${start.replace(' ', 'T')}Z`), value: Number(value)});
    }
    for (const series of all.values()) {
      series.readings.sort((a, b) => a.atMs - b.atMs);
      const {called, readings} = judgeSeries(series);
      figures.series++;
      figures.readings += readings;
      figures.falseVerdicts += called.length;
      if (called.length > 0) mistaken(`${series.name}: ${called.join(', ')}`);
    }
  }
  return figures;
}

/** As they are, and as they would be without some rows and with half of the events: what is tuned to the rows loses most there. */
function incidentFigures(
  incidents: Incident[],
  rng: Rng,
  mistaken: (text: string) => void,
): Omit<ElementFigures, 'wrong'> & {f1Lacking: number; f1Thinned: number} {
  const {wrong, cases, f1, precision, recall} = scoreIncidents(incidents);
  for (const text of wrong) mistaken(text);
  const variants = [lacking, thinned].map(
    change => scoreIncidents(Array.from({length: VARIANTS}, () => incidents.map(own => change(own, rng))).flat()).f1,
  );
  const [f1Lacking = 0, f1Thinned = 0] = variants.map(rounded);
  return {cases, f1: rounded(f1), precision: rounded(precision), recall: rounded(recall), f1Lacking, f1Thinned};
}

function incidentsIn(folder: string): Incident[] {
  const list = parse(readFileSync(join(folder, 'anomaly.yaml'), 'utf8')) as {
    data: string;
    timestamp: number;
    cause: Record<string, unknown> | Record<string, unknown>[];
  }[];
  return list.map(({data, timestamp, cause}) => ({
    name: data,
    atMs: timestamp * 1000,
    truth: [cause].flat().map((labels): Labels => Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]))),
    rows: readTable(join(folder, `${data}.csv.gz`)).map(({min, value, cnt, ...labels}) => {
      return {atMs: Number(min) * 1000, labels, bad: Number(value), all: Number(cnt)};
    }),
  }));
}
