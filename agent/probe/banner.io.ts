import {connect} from 'node:net';
import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import type {ProbeKind, ProbeOutcome} from './tally.ts';

const GREETINGS = {smtpBanner: /^220[ -]/, imapBanner: /^\* (?:OK|PREAUTH)/} as const;
const GREETING_BYTES_MAX = 4096;

/** Connects and waits for the server's greeting: all that can be asked of an edge without a user. Never rejects. */
export function probeBanner(probe: keyof typeof GREETINGS, address: string, port: number, timeoutMs: Millis): Promise<ProbeOutcome> {
  const startedAtMs = systemClock.monotonic();
  return new Promise(resolve => {
    const socket = connect({host: address, port});
    let text = '';
    const end = (outcome: ProbeOutcome): void => {
      socket.destroy();
      resolve(outcome);
    };
    const failed = (reason: string): void => end({probe: probe satisfies ProbeKind, ok: false, reason});
    socket.setTimeout(timeoutMs, () => failed(`no greeting within ${timeoutMs} ms`));
    socket.once('error', error => failed(error.message));
    socket.once('close', () => failed('closed without a greeting'));
    socket.on('data', part => {
      text += part.toString('latin1');
      if (!text.includes('\n') && text.length < GREETING_BYTES_MAX) return;
      if (GREETINGS[probe].test(text)) end({probe, ok: true, tookMs: systemClock.monotonic() - startedAtMs});
      else failed(text.slice(0, 100).trim());
    });
  });
}
