import {readFile} from 'node:fs/promises';
import type {Log} from '../../wire/log.ts';
import {type AgentConfig, probeUserOf} from '../config.ts';
import {probeDelivery} from './delivery.io.ts';
import {probeLmtp} from './lmtp.io.ts';
import {IdleCanaries, type ImapAccount, probeLogin} from './login.io.ts';
import type {Probes} from './run.io.ts';
import {Sink} from './sink.io.ts';
import type {ProbeOutcome} from './tally.ts';

/** A host that stores mailboxes: a message through its Postfix, one by LMTP, a login as webmail does it, connections that idle as phones' do. */
export function backendProbes(config: AgentConfig, log: Log): Probes {
  const {mail, probe} = config;
  const sender = probeUserOf(config);
  const delivery = askDelivery(config, log);
  let account: ImapAccount | null = null;
  let canaries: IdleCanaries | null = null;
  // Without an account there is no mailbox to file into.
  const lmtp = async (): Promise<ProbeOutcome | null> =>
    account === null ? null : probeLmtp({address: mail.address, port: mail.lmtpPort, user: sender, timeoutMs: probe.timeoutMs});
  const login = async (): Promise<ProbeOutcome | null> => {
    account ??= await readAccount(config, log);
    return account === null ? null : probeLogin(account, probe.timeoutMs);
  };
  const idle = async (): Promise<ProbeOutcome | null> => {
    if (account === null) return null;
    canaries ??= new IdleCanaries(account, probe.idleConnections, probe.timeoutMs);
    return canaries.check();
  };
  return {
    round: () => [delivery.ask(), lmtp(), login(), idle()],
    async close() {
      canaries?.close();
      await delivery.close();
    },
  };
}

/** A message through this host's own Postfix to the agent's own sink. What the agent itself lacks is looked for again each time. */
export function askDelivery(config: AgentConfig, log: Log): {ask: () => Promise<ProbeOutcome | null>; close: () => Promise<void>} {
  const {mail, probe} = config;
  let sink: Sink | null = null;
  return {
    async ask() {
      sink ??= await openSink(config, log);
      // No failure of the host.
      if (sink === null) return null;
      const {address, smtpPort: port} = mail;
      const {recipient, timeoutMs} = probe;
      return probeDelivery({sink, address, port, sender: probeUserOf(config), recipient, timeoutMs});
    },
    async close() {
      await sink?.close();
    },
  };
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
export async function readAccount(config: AgentConfig, log: Log): Promise<ImapAccount | null> {
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
