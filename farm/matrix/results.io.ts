import {appendFileSync, existsSync, mkdirSync, readFileSync, rmSync} from 'node:fs';
import {decode} from '../../wire/codec.ts';
import type {Paths} from '../paths.ts';
import {CellResult} from './results.ts';

/** Results, and the ledger of each cell, in the farm's run directory. */
export function matrixDirectory(paths: Paths): string {
  return `${paths.run}/matrix`;
}

const file = (paths: Paths): string => `${matrixDirectory(paths)}/results.jsonl`;

/** The newest result of each cell. @throws MailherdError INPUT_INVALID for a damaged line. */
export function readResults(paths: Paths): CellResult[] {
  if (!existsSync(file(paths))) return [];
  const lines = readFileSync(file(paths), 'utf8').split('\n').filter(Boolean);
  const results = lines.map((line, index) => decode(CellResult, line, `${file(paths)}:${index + 1}`));
  return [...new Map(results.map(result => [result.cell, result])).values()];
}

export function addResult(paths: Paths, result: CellResult): void {
  mkdirSync(matrixDirectory(paths), {recursive: true});
  appendFileSync(file(paths), `${JSON.stringify(result)}\n`);
}

export function forgetResults(paths: Paths): void {
  rmSync(matrixDirectory(paths), {recursive: true, force: true});
}
