import {readFile} from 'node:fs/promises';
import {systemClock} from '../../base/clock.io.ts';
import type {Rng} from '../../base/random.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import {type AgentConfig, probeUserOf} from '../config.ts';
import {probeBanner} from './banner.io.ts';
import {probeDelivery} from './delivery.io.ts';
import {IdleCanary, type ImapAccount, probeLogin} from './login.io.ts';
import {Sink} from './sink.io.ts';
import {type ProbeOutcome, ProbeTally} from './tally.ts';

const JITTER = [0.8, 1.2] as const;

/** The probes of this host's role, round after round until the signal ends them; `take` gives what ended since the last call. */
export function startProbes(config: AgentConfig, rng: Rng, log: Log, signal: AbortSignal): {tally: ProbeTally; done: Promise<void>} {
  const tally = new ProbeTally();
  const done =
    config.role === 'backend'
      ? runBackend(config, rng, log, signal, tally)
      : config.role === 'edge'
        ? runEdge(config, rng, log, signal, tally)
        : Promise.resolve();
  return {tally, done};
}

async function runEdge(config: AgentConfig, rng: Rng, log: Log, signal: AbortSignal, tally: ProbeTally): Promise<void> {
  const {mail, probe} = config;
  const round = (): Promise<ProbeOutcome | null>[] => [
    probeBanner('smtpBanner', mail.address, mail.smtpPort, probe.timeoutMs),
    probeBanner('imapBanner', mail.address, mail.imapPort, probe.timeoutMs),
  ];
  await runRounds(config, rng, log, signal, tally, round);
}

async function runBackend(config: AgentConfig, rng: Rng, log: Log, signal: AbortSignal, tally: ProbeTally): Promise<void> {
  const {mail, probe} = config;
  const sender = probeUserOf(config);
  let sink: Sink | null = null;
  let account: ImapAccount | null = null;
  let canary: IdleCanary | null = null;
  // What the agent itself lacks is looked for again each round; it is no failure of the host.
  const delivery = async (): Promise<ProbeOutcome | null> => {
    sink ??= await openSink(config, log);
    if (sink === null) return null;
    return probeDelivery({
      sink,
      address: mail.address,
      port: mail.smtpPort,
      sender,
      recipient: probe.recipient,
      timeoutMs: probe.timeoutMs,
    });
  };
  const login = async (): Promise<ProbeOutcome | null> => {
    account ??= await readAccount(config, log);
    return account === null ? null : probeLogin(account, probe.timeoutMs);
  };
  const idle = async (): Promise<ProbeOutcome | null> => {
    if (account === null) return null;
    canary ??= new IdleCanary(account, probe.timeoutMs);
    return canary.check();
  };
  await runRounds(config, rng, log, signal, tally, () => [delivery(), login(), idle()]);
  (canary as IdleCanary | null)?.close();
  await (sink as Sink | null)?.close();
}

/** Rounds never overlap: a slow host is probed less often, not more. */
async function runRounds(
  {probe}: AgentConfig,
  rng: Rng,
  log: Log,
  signal: AbortSignal,
  tally: ProbeTally,
  round: () => Promise<ProbeOutcome | null>[],
): Promise<void> {
  await systemClock.sleep(rng.between(0, Math.min(probe.intervalMs, 5 * SECOND_MS)), signal);
  while (!signal.aborted) {
    const beganAtMs = systemClock.monotonic();
    const ended = round().map(async one => {
      const outcome = await one;
      if (outcome === null || signal.aborted) return;
      tally.add(outcome);
      if (!outcome.ok) log.warn({probe: outcome.probe, reason: outcome.reason}, 'probe failed');
    });
    await Promise.all(ended);
    const pauseMs = probe.intervalMs * rng.between(...JITTER) - (systemClock.monotonic() - beganAtMs);
    await systemClock.sleep(Math.max(pauseMs, SECOND_MS), signal);
  }
}

async function openSink({probe}: AgentConfig, log: Log): Promise<Sink | null> {
  try {
    return await Sink.listen(probe.sinkAddress, probe.sinkPort, log);
  } catch (error) {
    log.error({error: String(error)}, 'the sink of the delivery probe cannot listen');
    return null;
  }
}

/** null without a password file, or while it cannot be read. */
async function readAccount(config: AgentConfig, log: Log): Promise<ImapAccount | null> {
  const {mail, probe} = config;
  if (probe.passwordFile === null) return null;
  try {
    const password = (await readFile(probe.passwordFile, 'utf8')).trim();
    return {address: mail.address, port: mail.imapPort, user: probeUserOf(config), password};
  } catch (error) {
    log.error({error: String(error)}, 'the password of the probe user cannot be read');
    return null;
  }
}
