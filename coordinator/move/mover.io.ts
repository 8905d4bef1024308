import {createHash, randomUUID} from 'node:crypto';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import type {Bucket} from '../../wire/bucket.io.ts';
import type {Log} from '../../wire/log.ts';
import type {Policy} from '../../wire/policy.ts';
import type {HostRecord, MoveRecord, MoveRecord as MoveRecordSchema} from '../../wire/record.ts';
import type {Route, Route as RouteSchema} from '../../wire/route.ts';
import {userKey} from '../../wire/subjects.ts';
import type {Commander} from '../command.io.ts';
import {MoveEngine} from './engine.ts';
import type {MovePorts} from './move-ports.ts';
import type {Whereabouts} from './order.ts';
import type {Pace} from './pace.ts';

interface MoverOptions {
  command: Commander;
  routes: Bucket<typeof RouteSchema>;
  moves: Bucket<typeof MoveRecordSchema>;
  /** Present host records, for addresses and edges. */
  hosts: () => readonly HostRecord[];
  policy: () => Policy;
  pace: () => Pace;
  whereabouts: () => Whereabouts;
  locks: () => {user: string; moveId: string}[];
  holdPorts: () => number | null;
  whyNoHold: (host: string) => string | null;
  isEmptyingPaused: (host: string) => boolean;
  token: number;
  /** Told of every step, for events. */
  stepped: (record: MoveRecord, tookMs: Millis) => void;
  log: Log;
  /** Aborted when the lease is lost. */
  signal: AbortSignal;
}

/**
 * The engine on NATS: loads what predecessors left and goes on with it.
 * @throws MailherdError NATS_DOWN when the store does not answer.
 */
export async function startMover(options: MoverOptions): Promise<MoveEngine> {
  const {moves, policy, pace, whereabouts, whyNoHold, isEmptyingPaused, log, signal} = options;
  const revisions = new Map<string, number>();
  const found: MoveRecord[] = [];
  for (const entry of await moves.entries()) {
    revisions.set(entry.value.id, entry.revision);
    found.push(entry.value);
  }
  const ports = natsPorts(options, revisions);
  const ruled = {policy, pace, whereabouts, whyNoHold, isEmptyingPaused};
  const engine = new MoveEngine({ports, ...ruled, newId: randomUUID, log, signal, found});
  void engine.run();
  return engine;
}

function natsPorts(options: MoverOptions, revisions: Map<string, number>): MovePorts {
  const {command, routes, hosts, locks, holdPorts, token, stepped} = options;
  return {
    clock: systemClock,
    token: () => token,
    command,
    locks,
    holdPorts,
    stepped,
    digest: text => createHash('sha256').update(text).digest('hex'),

    async readRoute(user) {
      const entry = await routes.get(userKey(user));
      return entry === null ? null : {route: entry.value, revision: entry.revision, storedAtMs: entry.storedAtMs};
    },

    writeRoute: (route: Route, expected) => routes.update(userKey(route.user), route, expected),

    ...storedMoves(options, revisions),

    address(host) {
      const record = hosts().find(known => known.host === host);
      if (record === undefined) throw new MailherdError('HOST_UNKNOWN', {host});
      return record.address;
    },

    edges: () =>
      hosts()
        .filter(({role, stage}) => role === 'edge' && stage !== 'retired')
        .map(({host}) => host),
  };
}

/** @param revisions of the entries as this coordinator last saw or wrote them. */
function storedMoves(
  {moves, token, log, signal}: MoverOptions,
  revisions: Map<string, number>,
): Pick<MovePorts, 'storeMove' | 'removeMove' | 'loadMoves'> {
  return {
    async storeMove(record) {
      for (;;) {
        try {
          const known = revisions.get(record.id);
          const revision = known === undefined ? await moves.create(record.id, record) : await moves.update(record.id, record, known);
          revisions.set(record.id, revision);
          return;
        } catch (error) {
          if (!(error instanceof MailherdError) || signal.aborted) throw error;
          if (error.code === 'STORE_CONFLICT') await learnRevision(record);
          else {
            log.warn({moveId: record.id, err: error}, 'the record of a move cannot be stored; trying again');
            await systemClock.sleep(1_000, signal);
          }
        }
      }
    },

    async removeMove(id) {
      const known = revisions.get(id);
      if (known !== undefined) await moves.forget(id, known);
      revisions.delete(id);
    },

    loadMoves: async () =>
      (await moves.entries()).map(entry => {
        if (!revisions.has(entry.value.id)) revisions.set(entry.value.id, entry.revision);
        return entry.value;
      }),
  };

  /** The newest write is our own whose acknowledgement was lost, or of an older lease: then ours goes over it. */
  async function learnRevision(record: MoveRecord): Promise<void> {
    const entry = await moves.get(record.id);
    if (entry !== null && entry.value.token > token)
      throw new MailherdError('NOT_LEADER', {moveId: record.id, token, newer: entry.value.token});
    if (entry === null) revisions.delete(record.id);
    else revisions.set(record.id, entry.revision);
  }
}
