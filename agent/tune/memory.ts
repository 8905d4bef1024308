import Type from 'typebox';
import {InstantMs, orNull} from '../../wire/schema.ts';
import {Change, ChangeOutcome, EndedChange, KnobName} from '../../wire/tune.ts';

const Sight = Type.Object({
  felt: Type.Record(Type.String(), orNull(Type.Number())),
  aim: orNull(Type.Number()),
  deliveriesPerSecond: orNull(Type.Number()),
  runQueueWaitMsPerSecond: orNull(Type.Number()),
});

/** A change with what is needed to judge and undo it after a restart of the agent. */
export const StoredChange = Type.Object({
  change: Change,
  /** Since when it is in its stage, by the wall clock. */
  sinceMs: InstantMs,
  before: Type.Array(Sight),
  after: Type.Array(Sight),
  /** It shall go, and the writer did not answer yet. */
  undoing: orNull(Type.Object({outcome: ChangeOutcome, because: Type.String()})),
});
export type StoredChange = Type.Static<typeof StoredChange>;

/** What a tuner must not forget. The values themselves are in the writer's ledger, which a reboot forgets with them. */
export const TuneMemory = Type.Object({
  v: Type.Literal(1),
  changes: Type.Array(StoredChange),
  ended: Type.Array(EndedChange),
  /** How often a knob's changes were undone. */
  undone: Type.Record(Type.String(), Type.Integer({minimum: 0})),
  /** Knobs that only a person's word tries again. */
  retired: Type.Array(KnobName),
});
export type TuneMemory = Type.Static<typeof TuneMemory>;

export const NO_MEMORY: TuneMemory = {v: 1, changes: [], ended: [], undone: {}, retired: []};
