import Type from 'typebox';
import {orNull} from '../../wire/schema.ts';
import {tableText} from '../table.ts';

/** What one trial came to; a line of the results file. */
export const TrialResult = Type.Object({
  v: Type.Literal(1),
  trial: Type.String(),
  atMs: Type.Integer(),
  /** From the fault until everything right was said; null when it never was, or where silence is right. */
  seconds: orNull(Type.Number()),
  said: Type.String(),
  /** What was not as it should be; empty = the right verdict, or the right silence. */
  violations: Type.Array(Type.String()),
});
export type TrialResult = Type.Static<typeof TrialResult>;

/** Every trial that was run, one a row. */
export function trialsTable(results: readonly TrialResult[]): string {
  const rows = results.map(({trial, seconds, said, violations}) => [
    trial,
    seconds === null ? '-' : seconds.toFixed(0),
    said,
    violations.join('; '),
  ]);
  return tableText(['fault/where', 'seconds', 'said', 'violations'], rows);
}
