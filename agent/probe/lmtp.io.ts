import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import {submit} from './delivery.io.ts';
import type {ProbeOutcome} from './tally.ts';

interface LmtpProbe {
  address: string;
  port: number;
  /** The probe's own mailbox, sender and recipient at once. */
  user: string;
  timeoutMs: Millis;
}

/**
 * A message into the probe's own mailbox by LMTP, past the queue: tells a slow mail store from a slow Postfix. The login probe clears the
 * mailbox. Never rejects.
 */
export async function probeLmtp({address, port, user, timeoutMs}: LmtpProbe): Promise<ProbeOutcome> {
  const startedAtMs = systemClock.monotonic();
  const message = ['Subject: probe', 'Auto-Submitted: auto-generated', '', 'Sent by the Mailherd agent of this host to itself.', ''].join(
    '\r\n',
  );
  const refusal = submit({address, port, timeoutMs, lmtp: true}, {from: user, to: user}, message);
  const stop = new AbortController();
  const late = systemClock.sleep(timeoutMs, stop.signal).then(() => `not stored within ${timeoutMs} ms`);
  const reason = await Promise.race([refusal, late]);
  stop.abort();
  if (reason === null) return {probe: 'lmtp', ok: true, tookMs: systemClock.monotonic() - startedAtMs};
  return {probe: 'lmtp', ok: false, reason};
}
