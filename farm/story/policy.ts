import type {Policy} from '../../wire/policy.ts';

/** The policy of a farm that is run by Mailherd alone and whose days last minutes: everything on, windows and retention short. */
export function storyPolicy(present: Policy): Policy {
  return {
    ...present,
    modes: {cordon: 'on', evacuate: 'on', reinstall: 'on', rebalance: 'on', purge: 'on'},
    judge: {...present.judge, windowMs: 30_000, warmUpMs: 15_000, silentMs: 30_000, sickDwellMs: 10_000, recoverDwellMs: 30_000},
    place: {...present.place, reserveShare: 0.02},
    move: {...present.move, concurrentMax: 6, perSourceMax: 3, perTargetMax: 3, retainMs: 20_000, quietMs: 10_000},
    host: {...present.host, probationMs: 15_000, reinstallTimeoutMs: 120_000},
  };
}
