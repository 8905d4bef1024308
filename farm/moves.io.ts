import Type from 'typebox';
import {systemClock} from '../base/clock.io.ts';
import {MailherdError} from '../base/errors.ts';
import type {Millis} from '../base/units.ts';
import {MovesView, PlanView} from '../wire/api.ts';
import {isSettled, MoveRecord} from '../wire/record.ts';
import {type ApiAccess, call} from './api.io.ts';

const PURGE_MS = 60_000;
const LOOK_MS = 250;
const Done = Type.Object({});

/** Has a mailbox moved. @returns the id, once the move has begun: a copy that is still retained on the target goes first. @throws MailherdError API_FAILED, MOVE_UNKNOWN. */
export async function startMove(access: ApiAccess, user: string, target: string): Promise<string> {
  const before = await lastOf(access, user);
  await call(access, 'POST', '/v1/moves', PlanView, {user, target});
  return begun(access, user, before?.id ?? null);
}

export async function cancelMove(access: ApiAccess, id: string): Promise<void> {
  await call(access, 'POST', `/v1/moves/${id}/cancel`, Done, {reason: 'to see it go back'});
}

/** Has a mailbox brought back once the quiet time of that move is over. @returns the id of the move back. @throws MailherdError API_FAILED, MOVE_UNKNOWN. */
export async function reverseMove(access: ApiAccess, id: string): Promise<string> {
  const {plan} = await call(access, 'POST', '/v1/reverse', PlanView, {moves: [id]});
  return begun(access, plan.moves[0]?.user ?? '', id);
}

/** @param before his last move. @returns the id of the next one. @throws MailherdError MOVE_UNKNOWN when none begins. */
async function begun(access: ApiAccess, user: string, before: string | null): Promise<string> {
  const endMs = systemClock.monotonic() + PURGE_MS;
  while (systemClock.monotonic() < endMs) {
    const id = (await lastOf(access, user))?.id ?? null;
    if (id !== null && id !== before) return id;
    await systemClock.sleep(LOOK_MS);
  }
  throw new MailherdError('MOVE_UNKNOWN', {user, before});
}

/** Purges as soon as the quiet time is over. @throws MailherdError API_FAILED with the last refusal. */
export async function purgeInTime(access: ApiAccess, id: string): Promise<void> {
  const endMs = systemClock.monotonic() + PURGE_MS;
  for (;;) {
    try {
      await call(access, 'POST', '/v1/purge', Done, {moves: [id]});
      return;
    } catch (error) {
      if (systemClock.monotonic() > endMs) throw error;
    }
    await systemClock.sleep(LOOK_MS);
  }
}

async function lastOf(access: ApiAccess, user: string): Promise<MoveRecord | null> {
  const {moves} = await call(access, 'GET', '/v1/moves', MovesView);
  return moves.filter(record => record.user === user).sort((a, b) => b.createdAtMs - a.createdAtMs)[0] ?? null;
}

async function requireLast(access: ApiAccess, user: string): Promise<MoveRecord> {
  const last = await lastOf(access, user);
  if (last === null) throw new MailherdError('MOVE_UNKNOWN', {user});
  return last;
}

/** The move of the user that was begun last. @throws MailherdError MOVE_UNKNOWN. */
export async function newestOf(access: ApiAccess, user: string): Promise<string> {
  return (await requireLast(access, user)).id;
}

/** Where that move stands and what it waits for, in words. */
export async function standingOf(access: ApiAccess, user: string): Promise<string> {
  const {step, attempts, refusal} = await requireLast(access, user);
  return `${step}, ${attempts} failed tries, ${JSON.stringify(refusal)}`;
}

/** Waits for the end of a move, and until nothing of it is left on a target that was silent. @returns null when it does not come in time. */
export async function ended(access: ApiAccess, id: string, timeoutMs: Millis): Promise<MoveRecord | null> {
  const endMs = systemClock.monotonic() + timeoutMs;
  while (systemClock.monotonic() < endMs) {
    const record = await call(access, 'GET', `/v1/moves/${id}`, MoveRecord).catch((error: unknown) => {
      // Nobody may lead at present.
      if (error instanceof MailherdError) return null;
      throw error;
    });
    if (record !== null && isSettled(record) && record.isLeftOnTarget !== true) return record;
    await systemClock.sleep(LOOK_MS);
  }
  return null;
}

/** Has a retained copy purged; should its check send it back once, it is tried again. @returns the move, null when it came to no end. */
export async function purgeMove(access: ApiAccess, id: string): Promise<MoveRecord | null> {
  await purgeInTime(access, id);
  const endMs = systemClock.monotonic() + PURGE_MS;
  for (;;) {
    const record = await ended(access, id, PURGE_MS);
    if (record?.step !== 'retained' || systemClock.monotonic() > endMs) return record;
    if (record.refusal !== null) await purgeInTime(access, id);
    await systemClock.sleep(LOOK_MS);
  }
}
