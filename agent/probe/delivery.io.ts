import {createTransport} from 'nodemailer';
import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import {PROBE_HEADER, type Sink} from './sink.io.ts';
import type {ProbeOutcome} from './tally.ts';

interface DeliveryProbe {
  sink: Sink;
  /** The host's own Postfix. */
  address: string;
  port: number;
  sender: string;
  recipient: string;
  timeoutMs: Millis;
}

/** A message on the way that a user's takes: handed to Postfix by SMTP, queued, and delivered by SMTP to the sink. Never rejects. */
export async function probeDelivery({sink, address, port, sender, recipient, timeoutMs}: DeliveryProbe): Promise<ProbeOutcome> {
  const startedAtMs = systemClock.monotonic();
  const {id, arrived} = sink.expect(timeoutMs);
  const transport = createTransport({
    host: address,
    port,
    secure: false,
    ignoreTLS: true,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  try {
    const accepted = transport.sendMail({
      envelope: {from: sender, to: recipient},
      from: sender,
      to: recipient,
      subject: 'probe',
      headers: {[PROBE_HEADER]: id, 'Auto-Submitted': 'auto-generated'},
      text: 'Sent by the Mailherd agent of this host to itself.',
    });
    const refusal = accepted.then(
      () => null,
      (error: Error) => error.message.slice(0, 150),
    );
    // Postfix may hand the message on before it has answered us, so the arrival alone decides what is good.
    const ended = async (): Promise<Millis | string | null> => (await refusal) ?? (await arrived);
    const first = await Promise.race([arrived, ended()]);
    if (typeof first === 'number') return {probe: 'delivery', ok: true, tookMs: systemClock.monotonic() - startedAtMs - first};
    return {probe: 'delivery', ok: false, reason: first ?? `did not arrive within ${timeoutMs} ms`};
  } finally {
    transport.close();
  }
}
