import Type from 'typebox';
import {ByteCount, Count, InstantMs, orNull} from './schema.ts';

/** What the farm holds and could hold, told once a day: the history from which the need for hardware is forecast. */
export const CapacityFigure = Type.Object({
  atMs: InstantMs,
  /** Backends that hold mailboxes or could, be they well or not. */
  hosts: Count,
  users: Count,
  /** Used on their mail stores, less the copies that moves retain. */
  heldBytes: ByteCount,
  /** Their mail stores less the reserve (`place.reserveShare`). */
  usableBytes: ByteCount,
});
export type CapacityFigure = Type.Static<typeof CapacityFigure>;

/** When hardware must be ordered, by the growth that was seen. */
export const Forecast = Type.Object({
  figure: CapacityFigure,
  /** What could be held beyond what is, as a share of it; and what the policy wants (`place.headroomShare`). */
  spare: Type.Number(),
  wanted: Type.Number(),
  /** Days of history that are known; growth is null while they are too few to tell. */
  days: Type.Number(),
  growthBytesPerDay: orNull(Type.Number()),
  /** When the spare falls below what is wanted, or has; null while that is not known, or it does not. */
  belowAtMs: orNull(InstantMs),
  /** The same less the time that hardware takes to come (`capacity.leadDays`). */
  orderByMs: orNull(InstantMs),
  leadDays: Count,
  /** That date is past or near. */
  isDue: Type.Boolean(),
  /** Hosts of the usual size: how many growth needs in 30 days, and how many should be ordered to have the spare `orderUntilMs`. */
  hostsPerMonth: orNull(Type.Number()),
  orderHosts: orNull(Count),
  orderUntilMs: InstantMs,
  /** What a host of the usual size may hold. */
  standardBytes: ByteCount,
});
export type Forecast = Type.Static<typeof Forecast>;
