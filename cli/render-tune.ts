import {instant, type Look, table, tint} from '../base/format.ts';
import type {TuneReport, TuneView} from '../wire/tune.ts';

const TONES = {alarm: 'bad', automatic: 'warn', person: 'plain'} as const;

/** Advice of all hosts, what was changed, what was given back, and why the policy waits. @param only one host, or null for all. */
export function renderTune({mode, hosts, waiting}: TuneView, only: string | null, look: Look): string {
  const shown = hosts.flatMap(({host, tune}) => (tune === null || (only !== null && host !== only) ? [] : [{host, tune}]));
  const silent = hosts.filter(({host, tune}) => tune === null && (only === null || host === only)).map(({host}) => host);
  const parts = [
    `Policy for the farm: ${mode}.`,
    section(
      'Advice',
      ['HOST', 'ADVICE', 'WHO', 'NOW', 'WHY', 'MEASURED'],
      shown.flatMap(each => adviceRows(each, look)),
    ),
    section('Changed', ['HOST', 'KNOB', 'FROM', 'TO', 'STATE', 'SINCE', 'BY', 'WHY'], shown.flatMap(changeRows)),
    section('Given back', ['HOST', 'KNOB', 'VALUE', 'HOW', 'AT', 'WHY'], shown.flatMap(endedRows)),
    section(
      'Would change nothing',
      ['HOST', 'KNOB', 'WHY'],
      shown.flatMap(({host, tune}) => Object.entries(tune.inert ?? {}).map(([knob, why]) => [host, knob, why])),
    ),
    mode === 'on'
      ? section(
          'The policy waits',
          ['KNOB', 'ON', 'FOR', 'HOST'],
          waiting.map(({knob, kind, code, host}) => [knob, kind, code, host ?? '-']),
        )
      : '',
    ...shown.filter(({tune}) => tune.writer !== null).map(({host, tune}) => `${host} cannot write: ${tune.writer}`),
    silent.length === 0 ? '' : `Nothing is known of: ${silent.join(' ')}`,
  ];
  return parts.filter(part => part !== '').join('\n\n');
}

interface Shown {
  host: string;
  tune: TuneReport;
}

function section(title: string, head: readonly string[], rows: readonly string[][]): string {
  return rows.length === 0 ? '' : `${title}\n${table(head, rows)}`;
}

function adviceRows({host, tune}: Shown, look: Look): string[][] {
  return tune.advice.map(({id, level, from, because, evidence}) => [
    host,
    id,
    tint(level, TONES[level], look),
    from ?? '-',
    because,
    evidence,
  ]);
}

function changeRows({host, tune}: Shown): string[][] {
  return tune.changes.map(({knob, old, value, stage, atMs, by, reason, effect}) => [
    host,
    knob,
    old,
    value,
    effect === null ? stage : `${stage}: ${effect}`,
    instant(atMs),
    by,
    reason,
  ]);
}

function endedRows({host, tune}: Shown): string[][] {
  return tune.ended.map(({knob, value, outcome, because, atMs}) => [host, knob, value, outcome, instant(atMs), because]);
}
