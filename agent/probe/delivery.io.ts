import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import {SmtpConnection} from './libraries.io.ts';
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
  const refusal = submit({address, port, timeoutMs, lmtp: false}, {from: sender, to: recipient}, messageOf(id, sender, recipient));
  // Postfix may hand the message on before it has answered us, so the arrival alone decides what is good.
  const ended = async (): Promise<Millis | string | null> => (await refusal) ?? (await arrived);
  const first = await Promise.race([arrived, ended()]);
  if (typeof first === 'number') return {probe: 'delivery', ok: true, tookMs: systemClock.monotonic() - startedAtMs - first};
  return {probe: 'delivery', ok: false, reason: first ?? `did not arrive within ${timeoutMs} ms`};
}

interface Door {
  address: string;
  port: number;
  timeoutMs: Millis;
  lmtp: boolean;
}

/**
 * Hands over one message. The connection ends itself: by QUIT, by an error, by its timeouts.
 * @returns null once the message is accepted, why not otherwise.
 */
export function submit(
  {address, port, timeoutMs, lmtp}: Door,
  envelope: {from: string; to: string},
  message: string,
): Promise<string | null> {
  const connection = new SmtpConnection({
    host: address,
    port,
    lmtp,
    secure: false,
    ignoreTLS: true,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  return new Promise(resolve => {
    const refused = (error: Error): void => resolve(error.message.slice(0, 150));
    connection.on('error', refused);
    connection.connect(failure => {
      if (failure !== undefined && failure !== null) return refused(failure);
      connection.send(envelope, message, error => {
        connection.quit();
        if (error === null) resolve(null);
        else refused(error);
      });
    });
  });
}

function messageOf(id: string, sender: string, recipient: string): string {
  const date = new Date(systemClock.now()).toUTCString().replace('GMT', '+0000');
  return [
    `From: ${sender}`,
    `To: ${recipient}`,
    'Subject: probe',
    `Date: ${date}`,
    `Message-ID: <${id}@mailherd.invalid>`,
    `${PROBE_HEADER}: ${id}`,
    'Auto-Submitted: auto-generated',
    '',
    'Sent by the Mailherd agent of this host to itself.',
    '',
  ].join('\r\n');
}
