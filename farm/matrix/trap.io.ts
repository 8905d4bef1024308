import {once} from 'node:events';
import {Worker} from 'node:worker_threads';
import {MailherdError} from '../../base/errors.ts';
import type {MoveStep} from '../../wire/record.ts';
import type {Farm} from '../farm.io.ts';
import {initDirectory} from '../secrets.io.ts';
import {mainProcess, signal} from './processes.io.ts';
import type {Found, Wanted} from './stepper.io.ts';

export interface Trapped {
  moveId: string;
  /** Lets the coordinator go on. */
  release: () => void;
}

/**
 * Lets a move run, a slice of the coordinator's time after the other, until it is in `step`, and holds the coordinator there. That is done
 * by a thread of its own: steps last some milliseconds, and mail and mail programs keep this one busy.
 * @param begin what sets the move going; its answer may only come when the coordinator goes on, so it is not awaited.
 * @param slicesInto slices into the step before it is held: its first command is then under way.
 * @returns null when the step was over before the coordinator stood still, or was not reached at all.
 */
export async function trapStep(
  farm: Farm,
  control: {host: string; address: string},
  user: string,
  step: MoveStep,
  slicesInto: number,
  begin: () => void,
): Promise<Trapped | null> {
  const pid = mainProcess(control.host, 'mailherd-coordinator');
  const seedFile = `${initDirectory(farm.paths)}/seeds/coordinator.seed`;
  const workerData: Wanted = {pid, server: `${control.address}:4222`, seedFile, user, step, slicesInto};
  const stepper = new Worker(new URL('./stepper.io.ts', import.meta.url), {workerData});
  try {
    const ended = once(stepper, 'exit').then(() => {
      throw new MailherdError('COMMAND_FAILED', {command: 'stepping through a move', reason: 'its thread ended'});
    });
    await Promise.race([once(stepper, 'message'), ended]);
    begin();
    const [found] = (await Promise.race([once(stepper, 'message'), ended])) as [Found];
    if (found.moveId === null) return null;
    return {moveId: found.moveId, release: () => signal([pid], 'SIGCONT')};
  } catch (error) {
    signal([pid], 'SIGCONT');
    throw error;
  } finally {
    stepper.removeAllListeners();
    await stepper.terminate();
  }
}
