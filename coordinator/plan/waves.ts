import type {Bytes} from '../../base/units.ts';
import type {PlannedMove} from '../../wire/record.ts';

/** What hosts can bear while moves run. */
export interface WaveLimits {
  /** Moves of one wave that leave, and that reach, one host. */
  perSourceMax: number;
  perTargetMax: number;
}

export interface Waves {
  waves: PlannedMove[][];
  /** Moves that no order makes possible: each waits for room that only another of them would give. */
  stuck: PlannedMove[];
}

/**
 * An order of moves in which no moment lacks space: within a wave every source still holds what leaves it; between waves what has
 * left is purged. Relief comes first: the move that takes the most from the fullest source.
 * @param rooms bytes that may still be placed on each host now; a host that is missing takes none.
 * @param relief the larger, the sooner its moves go; a host that is missing counts 0.
 */
export function wavesOf(
  moves: readonly PlannedMove[],
  rooms: ReadonlyMap<string, Bytes>,
  relief: ReadonlyMap<string, number>,
  {perSourceMax, perTargetMax}: WaveLimits,
): Waves {
  const room = new Map(rooms);
  const rank = (move: PlannedMove): number => relief.get(move.source) ?? 0;
  let left = [...moves].sort((a, b) => rank(b) - rank(a) || b.bytes - a.bytes || (a.user < b.user ? -1 : 1));
  const waves: PlannedMove[][] = [];
  while (left.length > 0) {
    const [leave, reach] = [new Map<string, number>(), new Map<string, number>()];
    const wave: PlannedMove[] = [];
    const later: PlannedMove[] = [];
    for (const move of left) {
      const {source, target, bytes} = move;
      const [gone, come, space] = [leave.get(source) ?? 0, reach.get(target) ?? 0, room.get(target) ?? 0];
      if (gone >= perSourceMax || come >= perTargetMax || bytes > space) {
        later.push(move);
        continue;
      }
      leave.set(source, gone + 1);
      reach.set(target, come + 1);
      room.set(target, space - bytes);
      wave.push(move);
    }
    if (wave.length === 0) return {waves, stuck: later};
    for (const {source, bytes} of wave) room.set(source, (room.get(source) ?? 0) + bytes);
    waves.push(wave);
    left = later;
  }
  return {waves, stuck: []};
}
