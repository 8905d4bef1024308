import type {Log} from '../../wire/log.ts';
import {type AgentConfig, probeUserOf} from '../config.ts';
import {askDelivery, readAccount} from './backend.io.ts';
import {probeLogin} from './login.io.ts';
import type {Probes} from './run.io.ts';
import type {ProbeOutcome} from './tally.ts';

/** A login that takes longer than this is tried at another backend: what only one of them does is not the edge's. */
const SLOW_MS = 1_000;
const BACKENDS_MAX = 3;

/** Where the logins of the probe go; `ProbeRoutes` is one. */
export interface BackendTurns {
  readonly backendCount: number;
  next(user: string): string | null;
}

/**
 * An edge as its users meet it: a message through its queue, and a login through its proxy into the probe's mailbox on a backend.
 * @param turns null: the login goes where the last one went.
 */
export function edgeUserProbes(config: AgentConfig, turns: () => BackendTurns | null, log: Log): Probes {
  const delivery = askDelivery(config, log);
  const user = probeUserOf(config);
  const login = async (): Promise<ProbeOutcome | null> => {
    const account = await readAccount(config, log);
    if (account === null) return null;
    return bestLogin(turns(), user, () => probeLogin(account, config.probe.timeoutMs));
  };
  return {round: () => [delivery.ask(), login()], close: delivery.close};
}

/** The best of what a few backends give; null while none is known. */
export async function bestLogin(turns: BackendTurns | null, user: string, ask: () => Promise<ProbeOutcome>): Promise<ProbeOutcome | null> {
  if (turns === null) return ask();
  let best: ProbeOutcome | null = null;
  for (let left = Math.min(turns.backendCount, BACKENDS_MAX); left > 0; left--) {
    const backend = turns.next(user);
    const outcome = await ask();
    const told: ProbeOutcome = outcome.ok ? outcome : {...outcome, reason: `${backend}: ${outcome.reason}`};
    if (best === null || (told.ok && (!best.ok || told.tookMs < best.tookMs))) best = told;
    if (best.ok && best.tookMs <= SLOW_MS) break;
  }
  return best;
}
