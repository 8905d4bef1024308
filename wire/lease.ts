import Type from 'typebox';
import {Count, Token} from './schema.ts';

/** Who leads, as the bucket of leases has it. */
export const Lease = Type.Object({
  v: Type.Literal(1),
  holder: Type.String(),
  /** Fencing token: the time when this holder took the lease, and greater than the one before. 0 in the entry by which an older release took it. */
  token: Token,
  beat: Count,
});
export type Lease = Type.Static<typeof Lease>;
