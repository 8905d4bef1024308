/** One value of a family, told from the others by its labels. */
export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** Figures of one name. A family's name ends in its unit, '' = it has none; a counter's samples end in `_total`, those of an info in `_info`. */
export interface Family {
  name: string;
  type: 'gauge' | 'counter' | 'info';
  unit: string;
  help: string;
  samples: readonly Sample[];
}

export const CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const SUFFIX = {gauge: '', counter: '_total', info: '_info'} as const;

/**
 * Families as OpenMetrics text (version 1.0.0). Written here, not by prom-client: that library costs an agent 10 MB, a sixth of what it
 * has, for what are these lines; it keeps metrics of its own where this renders what a report holds already.
 */
export function openMetricsOf(families: readonly Family[]): string {
  const lines = families
    .filter(({samples}) => samples.length > 0)
    .flatMap(({name, type, unit, help, samples}) => [
      `# TYPE ${name} ${type}`,
      ...(unit === '' ? [] : [`# UNIT ${name} ${unit}`]),
      `# HELP ${name} ${escaped(help)}`,
      ...samples.map(({labels, value}) => `${name}${SUFFIX[type]}${labelsOf(labels)} ${value}`),
    ]);
  return `${[...lines, '# EOF'].join('\n')}\n`;
}

function labelsOf(labels: Sample['labels']): string {
  // Names that differ in what is not allowed only would be one label twice, and the whole text void.
  const named = new Map(Object.entries(labels).map(([name, value]) => [labelName(name), value]));
  const pairs = [...named].map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function labelName(name: string): string {
  const text = name.replace(/[^A-Za-z0-9_]/g, '_');
  return /^[A-Za-z]/.test(text) ? text : `label_${text}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
