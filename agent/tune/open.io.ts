import {systemClock} from '../../base/clock.io.ts';
import type {Log} from '../../wire/log.ts';
import type {AgentConfig} from '../config.ts';
import type {Outbox} from '../report/outbox.io.ts';
import {FactSource} from './facts.io.ts';
import {tuneMemory} from './memory.io.ts';
import {Tuner} from './tuner.ts';
import {socketWriter} from './writer.io.ts';

/** The tuner of this host; on one that carries no mail it does nothing. What it did before the agent was restarted, it remembers. */
export function openTuner(config: AgentConfig, outbox: Outbox, log: Log, signal: AbortSignal): Tuner {
  const {stateDir, mail, probe, role, tune} = config;
  const ports = [mail.seedPort, mail.doveadmPort, probe.sinkPort];
  const source = new FactSource({store: mail.store, spool: mail.spool, ports});
  return new Tuner(role === 'control' ? {...tune, mode: 'off'} : tune, {
    writer: socketWriter(),
    clock: systemClock,
    look: (...asked) => source.look(...asked),
    guardLook: () => source.guardLook(),
    disk: () => source.disk(),
    memory: tuneMemory(stateDir, log),
    emit: (type, data) => outbox.event(type, data),
    log,
    signal,
  });
}
