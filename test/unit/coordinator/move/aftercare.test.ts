import {expect, test} from 'vitest';
import {MailherdError} from '../../../../base/errors.ts';
import {DAY_MS, SECOND_MS} from '../../../../base/units.ts';
import {Aftercare} from '../../../../coordinator/move/aftercare.ts';
import type {MovePorts} from '../../../../coordinator/move/move-ports.ts';
import type {MoveRecord} from '../../../../wire/record.ts';
import {FakeClock, settle, silentLog} from '../fakes.ts';
import {moveOf} from '../fleet-builder.ts';

function aftercare(moves: readonly MoveRecord[], clock: FakeClock, silent: string, answer = notToday) {
  const kept: MoveRecord[] = [];
  const asked: string[] = [];
  const removed: string[] = [];
  const command = (host: string, verb: string): Promise<unknown> => {
    asked.push(host);
    return host === silent ? new Promise(() => undefined) : answer(verb, host);
  };
  const removeMove = async (id: string): Promise<void> => void removed.push(id);
  const readRoute = async (): Promise<null> => null;
  const ports = {clock, command, token: () => 1, removeMove, readRoute, locks: () => []} as unknown as MovePorts;
  const records = new Map(moves.map(move => [move.id, move]));
  const keep = async (next: MoveRecord): Promise<MoveRecord> => {
    kept.push(next);
    return next;
  };
  return {asked, removed, kept, records, care: new Aftercare({ports, records, keep, log: silentLog, signal: new AbortController().signal})};
}

const notToday = (_verb: string, _host: string): Promise<unknown> => Promise.reject(new Error('not today'));

const retained = (clock: FakeClock, id: string, source: string): MoveRecord =>
  moveOf(`${id}@d.example`, source, 'be9', 'retained', {id, timeline: [{step: 'retained', atMs: clock.now()}]});

test('a host that does not answer holds up the looks at its own copies only', async () => {
  const clock = new FakeClock();
  const moves = [retained(clock, 'm1', 'be1'), retained(clock, 'm2', 'be1'), retained(clock, 'm3', 'be2'), retained(clock, 'm4', 'be2')];
  const {asked, care} = aftercare(moves, clock, 'be1');
  care.look();
  expect(asked).toEqual([]);
  await clock.advance(6 * SECOND_MS);
  care.look();
  await settle();
  care.look();
  await settle();
  expect(asked).toEqual(['be1', 'be2', 'be2']);
});

test('nor what moves left undone elsewhere; one that is silent is not asked for each of them', async () => {
  const clock = new FakeClock();
  const left = (id: string, target: string): MoveRecord =>
    moveOf(`${id}@d.example`, 'be9', target, 'backedOut', {id, isLeftOnTarget: true});
  const moves = [left('m1', 'be1'), left('m2', 'be2'), left('m3', 'be3'), left('m4', 'be2'), left('m5', 'be3')];
  const {asked, kept, care} = aftercare(moves, clock, 'be1', (_verb, host) =>
    host === 'be2' ? Promise.reject(new MailherdError('HOST_SILENT', {host})) : Promise.resolve({removedBytes: 0}),
  );
  care.look();
  await settle();
  expect([asked.sort(), kept.map(({id}) => id)]).toEqual([
    ['be1', 'be2', 'be3', 'be3'],
    ['m3', 'm5'],
  ]);
});

test('records of old moves go from memory only once they are gone from the store', async () => {
  const clock = new FakeClock();
  const old = moveOf('a@d.example', 'be1', 'be2', 'purged', {id: 'old', updatedAtMs: clock.now() - 40 * DAY_MS});
  const {removed, records, care} = aftercare([old], clock, 'be1');
  care.look();
  expect(records.size).toBe(1);
  await settle();
  expect(removed).toEqual(['old']);
  expect(records.size).toBe(0);
});

test.each([false, true])(
  'what a look finds is noted, but not over what a purge said that was sent back meanwhile (%s)',
  async isSentBack => {
    const clock = new FakeClock();
    const move = retained(clock, 'm1', 'be1');
    let answer: (error: Error) => void = () => undefined;
    const answered = new Promise((_, reject) => {
      answer = reject;
    });
    const {kept, records, care} = aftercare([move], clock, '', verb => (verb === 'discard' ? Promise.resolve({}) : answered));
    await clock.advance(6 * SECOND_MS);
    care.look();
    await settle();
    const refusal = {code: 'LAST_COPY', detail: {}};
    if (isSentBack) records.set('m1', {...move, refusal});
    answer(new MailherdError('COPY_MISSING', {user: move.user, host: 'be1'}));
    await settle();
    expect(kept.map(({step}) => step)).toEqual(isSentBack ? [] : ['purged']);
  },
);
