import {addTo} from '../../base/groups.ts';
import type {Bytes} from '../../base/units.ts';
import type {PlannedMove} from '../../wire/record.ts';
import {MOVE_BYTES} from '../move/progress.ts';
import {ANY_ORDER, type OrderRule} from './apart.ts';

/** So deep a queue is searched for moves whose targets are free: a million moves are ordered in seconds. */
const DEPTH = 32;

/** What hosts can bear while moves run. */
export interface WaveLimits {
  /** Moves of one wave that leave, and that reach, one host. */
  perSourceMax: number;
  perTargetMax: number;
}

export interface Waves {
  waves: PlannedMove[][];
  /** Moves that no order makes possible: each waits for what only another of them would give. */
  stuck: PlannedMove[];
}

/**
 * An order of moves in which no moment lacks space: within a wave every source still holds what leaves it; between waves what has
 * left is purged. Relief comes first: of the source that needs it most, the mailboxes whose people gain most for the time their moves take.
 * @param rooms bytes that may still be placed on each host now; a host that is missing takes none.
 * @param relief the larger, the sooner its moves go; a host that is missing counts 0.
 * @param rule what else the order must keep; a wave may end in any order of its own.
 * @param loadOf how much a user's mailbox is used, in any unit.
 */
export function wavesOf(
  moves: readonly PlannedMove[],
  rooms: ReadonlyMap<string, Bytes>,
  relief: ReadonlyMap<string, number>,
  {perSourceMax, perTargetMax}: WaveLimits,
  rule: OrderRule = ANY_ORDER,
  loadOf: (user: string) => number = () => 1,
): Waves {
  const room = new Map(rooms);
  const queues = queuesOf(moves, relief, loadOf);
  const waves: PlannedMove[][] = [];
  for (let count = moves.length; count > 0; ) {
    let wave = takeWave(queues, room, {perSourceMax, perTargetMax}, DEPTH, rule);
    if (wave.length === 0) wave = takeWave(queues, room, {perSourceMax, perTargetMax}, count, rule);
    if (wave.length === 0) return {waves, stuck: queues.flat()};
    for (const {source, bytes} of wave) room.set(source, (room.get(source) ?? 0) + bytes);
    waves.push(wave);
    count -= wave.length;
  }
  return {waves, stuck: []};
}

/**
 * Moves by source, the source with the most relief first. In each by load for the time that its move takes (W. E. Smith, 1956: no order
 * makes the waiting of all, weighted so, shorter): an archive that nobody looks at waits for those who are at work.
 */
function queuesOf(moves: readonly PlannedMove[], relief: ReadonlyMap<string, number>, loadOf: (user: string) => number): PlannedMove[][] {
  const bySource = new Map<string, {move: PlannedMove; gain: number}[]>();
  for (const move of moves) addTo(bySource, move.source, {move, gain: loadOf(move.user) / (move.bytes + MOVE_BYTES)});
  const ranked = [...bySource].sort(([a], [b]) => (relief.get(b) ?? 0) - (relief.get(a) ?? 0) || order(a, b));
  return ranked.map(([, queue]) => {
    queue.sort((a, b) => b.gain - a.gain || b.move.bytes - a.move.bytes || order(a.move.user, b.move.user));
    return queue.map(({move}) => move);
  });
}

/** Takes out of each queue what may run together, looking only so deep; books it at the targets. */
function takeWave(
  queues: PlannedMove[][],
  room: Map<string, Bytes>,
  {perSourceMax, perTargetMax}: WaveLimits,
  depth: number,
  {aloneOf, mayRun, ran}: OrderRule,
): PlannedMove[] {
  const reach = new Map<string, number>();
  const busy = new Set<string>();
  const wave: PlannedMove[] = [];
  for (const queue of queues) {
    let taken = 0;
    for (let at = 0, looked = 0; at < queue.length && looked < depth && taken < perSourceMax; looked++) {
      const move = queue[at] as PlannedMove;
      const [come, space, alone] = [reach.get(move.target) ?? 0, room.get(move.target) ?? 0, aloneOf(move.user)];
      if (come >= perTargetMax || move.bytes > space || (alone !== null && (busy.has(alone) || !mayRun(move)))) {
        at++;
        continue;
      }
      reach.set(move.target, come + 1);
      room.set(move.target, space - move.bytes);
      if (alone !== null) busy.add(alone);
      ran(move);
      wave.push(move);
      queue.splice(at, 1);
      taken++;
    }
  }
  return wave;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
