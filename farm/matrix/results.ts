import Type from 'typebox';
import {orNull} from '../../wire/schema.ts';
import {tableText} from '../table.ts';
import {type Cell, cellName, MISFORTUNES, STEPS} from './cells.ts';

/** What one cell came to; a line of the results file. */
export const CellResult = Type.Object({
  v: Type.Literal(1),
  cell: Type.String(),
  atMs: Type.Integer(),
  user: Type.String(),
  source: Type.String(),
  target: Type.String(),
  /** Releases of source and target, as in `12->13`. */
  pair: Type.String(),
  /** How the move ended by itself; missed = the step was over before the fault could begin, stuck = it did not end in time. */
  outcome: Type.Union([Type.Literal('forward'), Type.Literal('back'), Type.Literal('stuck'), Type.Literal('missed')]),
  /** Why it went back, or waited last. */
  refusal: orNull(Type.String()),
  /** From the fault until the move had ended. */
  endedAfterMs: orNull(Type.Number()),
  /** The longest time in which the user got no answer to anything. */
  awayMs: orNull(Type.Number()),
  accepted: Type.Integer(),
  appended: Type.Integer(),
  flagged: Type.Integer(),
  lost: Type.Integer(),
  duplicated: Type.Integer(),
  /** Delivered twice by Postfix, which had not learnt in time that the first time counted: no move is to blame. */
  resent: Type.Integer(),
  uidsChanged: Type.Integer(),
  wrongFlags: Type.Integer(),
  bounced: Type.Integer(),
  /** What was not as promised, in words; empty = the cell holds. */
  violations: Type.Array(Type.String()),
});
export type CellResult = Type.Static<typeof CellResult>;

const seconds = (ms: number | null): string => (ms === null ? '-' : (ms / 1_000).toFixed(1));

/** One line while the matrix runs. */
export function resultLine(result: CellResult): string {
  const verdict = result.violations.length === 0 ? 'ok' : `VIOLATED: ${result.violations.join('; ')}`;
  const why = result.refusal === null ? '' : ` (${result.refusal})`;
  return `${result.cell} ${result.pair}: ${result.outcome}${why}, user away ${seconds(result.awayMs)} s, ended after ${seconds(result.endedAfterMs)} s, ${verdict}`;
}

/** Every cell that was run, one a row. */
export function resultsTable(results: readonly CellResult[]): string {
  const head = [
    'cell',
    'pair',
    'outcome',
    'away s',
    'ended s',
    'mail',
    'filed',
    'flags',
    'lost',
    'twice',
    'resent',
    'UIDs',
    'bounced',
    'violations',
  ];
  const rows = results.map(each => [
    each.cell,
    each.pair,
    each.refusal === null ? each.outcome : `${each.outcome} ${each.refusal}`,
    seconds(each.awayMs),
    seconds(each.endedAfterMs),
    each.accepted,
    each.appended,
    each.flagged,
    each.lost,
    each.duplicated,
    each.resent,
    each.uidsChanged,
    each.bounced,
    each.violations.join('; '),
  ]);
  return tableText(head, rows);
}

/** The matrix as Markdown: a fault a row, a step a column; each cell tells the outcome and how long the user was away. */
export function resultsMarkdown(results: readonly CellResult[]): string {
  const byCell = new Map(results.map(result => [result.cell, result]));
  const steps = STEPS.filter(step => results.some(({cell}) => cell.startsWith(`${step}/`)));
  const faults = MISFORTUNES.filter(fault => results.some(({cell}) => cell.endsWith(`/${fault}`)));
  const text = (cell: Cell): string => {
    const result = byCell.get(cellName(cell));
    if (result === undefined) return '';
    return `${result.violations.length === 0 ? '' : '**VIOLATED** '}${result.outcome} ${seconds(result.awayMs)}`;
  };
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return [
    row(['fault', ...steps]),
    row(['---', ...steps.map(() => '---')]),
    ...faults.map(fault => row([fault, ...steps.map(step => text({step, fault}))])),
  ].join('');
}
