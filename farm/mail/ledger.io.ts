import {closeSync, existsSync, mkdirSync, openSync, readFileSync, writeSync} from 'node:fs';
import {dirname} from 'node:path';
import {decode} from '../../wire/codec.ts';
import {LedgerEntry} from './ledger.ts';

type WithoutTime = LedgerEntry extends infer E ? (E extends LedgerEntry ? Omit<E, 'atMs'> : never) : never;

/** Appends to the ledger; a line is with the kernel before `note` returns, so it outlives this process. */
export interface Ledger {
  note(entry: WithoutTime): void;
  close(): void;
}

/** Opens the ledger for appending; several processes may write whole lines to it. */
export function openLedger(path: string): Ledger {
  mkdirSync(dirname(path), {recursive: true});
  const file = openSync(path, 'a', 0o600);
  return {
    note: entry => {
      writeSync(file, `${JSON.stringify({...entry, atMs: Date.now()})}\n`);
    },
    close: () => closeSync(file),
  };
}

/** All lines so far; none when there is no ledger. @throws MailherdError INPUT_INVALID for a line that is damaged. */
export function readLedger(path: string): LedgerEntry[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line, index) => decode(LedgerEntry, line, `${path}:${index + 1}`));
}
