import type {ImapFlow as Imap} from 'imapflow';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import {ImapFlow} from './libraries.io.ts';
import type {ProbeOutcome} from './tally.ts';

export interface ImapAccount {
  address: string;
  port: number;
  user: string;
  password: string;
}

/** Messages in the probe's mailbox before all but the newest go. */
const KEPT_MAX = 20;
const IDLE_RENEW_MS = 9 * 60_000;
const FIRST_MESSAGE = 'Subject: probe\r\nAuto-Submitted: auto-generated\r\n\r\nRead by the Mailherd agent of this host.\r\n';

function client(account: ImapAccount, timeoutMs: Millis): Imap {
  return new ImapFlow({
    host: account.address,
    port: account.port,
    secure: false,
    doSTARTTLS: false,
    auth: {user: account.user, pass: account.password},
    logger: false,
    disableAutoIdle: true,
    maxIdleTime: IDLE_RENEW_MS,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
  });
}

/** What webmail does first: log in, open INBOX, fetch the newest message. Never rejects. */
export async function probeLogin(account: ImapAccount, timeoutMs: Millis): Promise<ProbeOutcome> {
  const startedAtMs = systemClock.monotonic();
  const imap = client(account, timeoutMs);
  const stop = new AbortController();
  const late = systemClock.sleep(timeoutMs, stop.signal).then(() => {
    throw new MailherdError('PROBE_FAILED', {probe: 'login', reason: `no answer within ${timeoutMs} ms`});
  });
  // The loser of the race below must not end as an unhandled rejection.
  late.catch(() => undefined);
  imap.on('error', () => undefined);
  try {
    await Promise.race([readNewest(imap), late]);
    const tookMs = systemClock.monotonic() - startedAtMs;
    await Promise.race([imap.logout(), late]);
    return {probe: 'login', ok: true, tookMs};
  } catch (error) {
    return {probe: 'login', ok: false, reason: reasonOf(error)};
  } finally {
    stop.abort();
    imap.close();
  }
}

async function readNewest(imap: Imap): Promise<void> {
  await imap.connect();
  const inbox = await imap.mailboxOpen('INBOX');
  if (inbox.exists === 0) await imap.append('INBOX', FIRST_MESSAGE);
  // The LMTP probe files a message each round.
  if (inbox.exists > KEPT_MAX) await imap.messageDelete(`1:${inbox.exists - 1}`);
  const message = await imap.fetchOne('*', {envelope: true, flags: true});
  if (message === false)
    throw new MailherdError('PROBE_FAILED', {probe: 'login', reason: 'the mailbox has a message that FETCH does not give'});
}

/** imapflow puts the server's words beside the message. */
function reasonOf(error: unknown): string {
  const {responseText, message} = error as {responseText?: string; message?: string};
  return (responseText ?? message ?? String(error)).slice(0, 150);
}

/** Connections that idle as phones do, to notice when the host loses those. */
export class IdleCanaries {
  readonly #canaries: IdleCanary[];

  constructor(account: ImapAccount, count: number, timeoutMs: Millis) {
    this.#canaries = Array.from({length: count}, () => new IdleCanary(account, timeoutMs));
  }

  /**
   * Did the connections live since the last call? One outcome for all: lost ones are counted and replaced. null when there was none to
   * lose. Never rejects.
   */
  async check(): Promise<ProbeOutcome | null> {
    const outcomes = (await Promise.all(this.#canaries.map(canary => canary.check()))).filter(outcome => outcome !== null);
    if (outcomes.length === 0) return null;
    const lost = outcomes.filter(outcome => !outcome.ok);
    const idle = {open: this.#canaries.filter(({isOpen}) => isOpen).length, dropped: lost.length};
    const [first] = lost;
    return first === undefined ? {probe: 'idle', ok: true, tookMs: 0, idle} : {...first, idle};
  }

  close(): void {
    for (const canary of this.#canaries) canary.close();
  }
}

class IdleCanary {
  readonly #account: ImapAccount;
  readonly #timeoutMs: Millis;
  #imap: Imap | null = null;
  #lost: string | null = null;
  #isClosed = false;

  constructor(account: ImapAccount, timeoutMs: Millis) {
    this.#account = account;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Did the connection live since the last call? null when there was none to lose; a lost one is replaced. Failures to
   * connect are the login probe's to tell. Never rejects.
   */
  async check(): Promise<ProbeOutcome | null> {
    const lost = this.#lost;
    this.#lost = null;
    if (lost !== null) {
      await this.#connect();
      return {probe: 'idle', ok: false, reason: lost};
    }
    if (this.#imap !== null) return {probe: 'idle', ok: true, tookMs: 0};
    await this.#connect();
    return null;
  }

  get isOpen(): boolean {
    return this.#imap !== null;
  }

  close(): void {
    this.#isClosed = true;
    this.#imap?.close();
  }

  async #connect(): Promise<void> {
    if (this.#isClosed) return;
    const imap = client(this.#account, this.#timeoutMs);
    let reason = 'the connection was closed';
    imap.on('error', error => {
      reason = reasonOf(error);
    });
    imap.on('close', () => {
      if (this.#imap !== imap) return;
      this.#imap = null;
      if (!this.#isClosed) this.#lost = reason;
    });
    const stop = new AbortController();
    try {
      const late = systemClock.sleep(this.#timeoutMs, stop.signal).then(() => 'late' as const);
      const opened = imap.connect().then(() => imap.mailboxOpen('INBOX'));
      if ((await Promise.race([opened, late])) === 'late') {
        opened.catch(() => undefined);
        imap.close();
        return;
      }
      this.#imap = imap;
      imap.idle().catch(error => {
        reason = reasonOf(error);
      });
    } catch {
      imap.close();
    } finally {
      stop.abort();
    }
  }
}
