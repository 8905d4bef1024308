import {systemClock} from '../../base/clock.io.ts';
import type {Rng} from '../../base/random.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {AgentConfig} from '../config.ts';
import {probeBanner} from './banner.io.ts';
import type {BackendTurns} from './edge.io.ts';
import {type ProbeOutcome, ProbeTally} from './tally.ts';

const JITTER = [0.8, 1.2] as const;

/** What one role is asked. */
export interface Probes {
  /** Begins all probes of one round; each ends by itself and never rejects. null: it could not be tried. */
  round(): Promise<ProbeOutcome | null>[];
  close(): Promise<void>;
}

/** The probes of this host's role, round after round until the signal ends them; `take` gives what ended since the last call. */
export function startProbes(
  config: AgentConfig,
  turns: () => BackendTurns | null,
  rng: Rng,
  log: Log,
  signal: AbortSignal,
): {tally: ProbeTally; done: Promise<void>} {
  const tally = new ProbeTally();
  const run = async (): Promise<void> => {
    if (config.role === 'control') return;
    const probes = await probesOf(config, turns, log);
    await runRounds(config, rng, log, signal, tally, probes);
    await probes.close();
  };
  return {tally, done: run()};
}

/** What a host that carries mail is asked. @param turns of an edge: where its logins go; null: where the last one went. */
export async function probesOf(config: AgentConfig, turns: () => BackendTurns | null, log: Log): Promise<Probes> {
  // What speaks IMAP and SMTP is a tenth of an agent's memory: an edge without an account does without.
  if (config.role !== 'edge') return (await import('./backend.io.ts')).backendProbes(config, log);
  const greetings = edgeGreetings(config);
  if (config.probe.passwordFile === null) return greetings;
  const users = (await import('./edge.io.ts')).edgeUserProbes(config, turns, log);
  return {round: () => [...greetings.round(), ...users.round()], close: users.close};
}

/** All that can be asked of an edge without a user. */
function edgeGreetings({mail, probe}: AgentConfig): Probes {
  return {
    round: () => [
      probeBanner('smtpBanner', mail.address, mail.smtpPort, probe.timeoutMs),
      probeBanner('imapBanner', mail.address, mail.imapPort, probe.timeoutMs),
    ],
    close: () => Promise.resolve(),
  };
}

/** Rounds never overlap: a slow host is probed less often, not more. */
async function runRounds({probe}: AgentConfig, rng: Rng, log: Log, signal: AbortSignal, tally: ProbeTally, probes: Probes): Promise<void> {
  await systemClock.sleep(rng.between(0, Math.min(probe.intervalMs, 5 * SECOND_MS)), signal);
  while (!signal.aborted) {
    const beganAtMs = systemClock.monotonic();
    const ended = probes.round().map(async one => {
      const outcome = await one;
      if (outcome === null || signal.aborted) return;
      tally.add(outcome);
      if (!outcome.ok) log.warn({probe: outcome.probe, reason: outcome.reason}, 'probe failed');
    });
    await Promise.all(ended);
    tally.endRound();
    const pauseMs = probe.intervalMs * rng.between(...JITTER) - (systemClock.monotonic() - beganAtMs);
    await systemClock.sleep(Math.max(pauseMs, SECOND_MS), signal);
  }
}
