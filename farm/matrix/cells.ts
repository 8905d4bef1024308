import {MailherdError} from '../../base/errors.ts';
import {isSettled, MOVE_STEPS, type MoveStep, type SettledStep} from '../../wire/record.ts';

export type Step = Exclude<MoveStep, SettledStep>;
/** Steps during which something is done; the others are ends. */
export const STEPS = MOVE_STEPS.filter((step): step is Step => !isSettled({step}));

/** What goes wrong, to whom; each ends after some seconds. */
export const MISFORTUNES = [
  'kill-source-agent',
  'kill-target-agent',
  'kill-source-mover',
  'kill-target-mover',
  'kill-coordinator',
  'kill-nats',
  'kill-source-dovecot',
  'kill-target-dovecot',
  'kill-source-postfix',
  'kill-target-postfix',
  'kill-edge-postfix',
  'power-source',
  'power-target',
  'power-edge',
  'cut-source-target',
  'cut-source-nats',
  'cut-target-nats',
  'cut-edge-nats',
  'full-target',
  'freeze-source',
] as const;
export type Misfortune = (typeof MISFORTUNES)[number];

/** One cell of the matrix: while a move is in that step, that happens. */
export interface Cell {
  step: Step;
  fault: Misfortune;
}

export function cellName({step, fault}: Cell): string {
  return `${step}/${fault}`;
}

/**
 * The cells that a selection names, in the order of the matrix; all of them for null.
 * @param only `STEP/FAULT`, either may be `*` or left out (`holding/`, `/kill-nats`), several joined with commas.
 * @throws MailherdError INPUT_INVALID for a name that is none.
 */
export function selectCells(only: string | null): Cell[] {
  const all = STEPS.flatMap(step => MISFORTUNES.map(fault => ({step, fault})));
  if (only === null) return all;
  const wanted = only.split(',').map(part => {
    const [step = '', fault = ''] = part.trim().split('/');
    known(STEPS, step);
    known(MISFORTUNES, fault);
    return {step, fault};
  });
  return all.filter(cell => wanted.some(({step, fault}) => fitsPart(step, cell.step) && fitsPart(fault, cell.fault)));
}

function fitsPart(wanted: string, name: string): boolean {
  return wanted === '' || wanted === '*' || wanted === name;
}

function known(names: readonly string[], name: string): void {
  if (name === '' || name === '*' || names.includes(name)) return;
  throw new MailherdError('INPUT_INVALID', {what: '--only', value: name, reason: `one of ${names.join(', ')}`});
}
