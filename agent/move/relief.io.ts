import {connect} from 'node:net';
import {createInterface} from 'node:readline';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {SqliteRouteTable} from '../route/table.io.ts';
import type {MailQueue, QueuedMail, QueueRelief} from './host-ports.ts';
import {parseNextHop, RELIEF_MAPS, type Sorted, sortQueue, unprepared} from './relief.ts';
import {output} from './tool.io.ts';

const RELAY_MS = 10 * SECOND_MS;

interface ReliefOptions {
  host: string;
  table: SqliteRouteTable;
  queue: MailQueue;
  log: Log;
}

/**
 * Relief by Postfix's own lookups in routes.db: mail stays in its queue file, with its time of arrival, until the next hop has it, and
 * no message is rewritten. Nothing of Postfix's configuration is changed, so nothing has to be put back: the maps fall silent.
 */
export function queueRelief({host, table, queue, log}: ReliefOptions): QueueRelief {
  async function sorted(): Promise<Sorted> {
    const domains = table.domains();
    return sortQueue(
      await queue.queued(),
      host,
      user => table.row(user)?.host ?? null,
      domain => domains.has(domain),
    );
  }
  const counts = ({queued, elsewhere, outgoing}: Sorted): QueuedMail => ({queued, elsewhere, outgoing});
  return {
    async begin({relay, spanMs, by}) {
      const lacking = unprepared(await output(['postconf', ...Object.keys(RELIEF_MAPS)]));
      if (lacking.length > 0) throw new MailherdError('RELIEF_REFUSED', {host, reason: 'Postfix is not prepared', lacking});
      const found = await sorted();
      if (relay !== null && found.sample.length > 0) await askRelay(host, relay, found.sample);
      const nowMs = systemClock.now();
      const before = table.relief(nowMs);
      table.relieve({relay, sinceMs: before?.sinceMs ?? nowMs, untilMs: nowMs + spanMs, by});
      // Once: what is deferred again meanwhile waits its turn as ever.
      if (before === null || before.relay !== relay) await queue.flush();
      log.warn({relay, spanMs, by, ...counts(found)}, 'the queue is being relieved');
      return counts(found);
    },
    async end() {
      table.endRelief(systemClock.now());
      log.warn({}, 'the relief of the queue is over');
      return counts(await sorted());
    },
  };
}

/**
 * Asks a relay, without sending anything, whether it would take mail for these recipients: a refusal for good would come back to senders.
 * @throws MailherdError RELIEF_REFUSED with its answer.
 */
async function askRelay(host: string, relay: string, recipients: readonly string[]): Promise<void> {
  const refused = (reason: string): MailherdError => new MailherdError('RELIEF_REFUSED', {host, relay, reason: reason.slice(0, 200)});
  const hop = parseNextHop(relay);
  if (hop === null) throw refused('is no next hop as [address]:port');
  const socket = connect({host: hop.address, port: hop.port, timeout: RELAY_MS});
  socket.on('timeout', () => socket.destroy(new Error(`no answer in ${RELAY_MS} ms`)));
  const lines = createInterface({input: socket});
  const steps = [`EHLO ${host}`, 'MAIL FROM:<>', ...recipients.map(each => `RCPT TO:<${each}>`), 'RSET', 'QUIT'];
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the connection was closed')));
      lines.on('line', line => {
        if (!/^\d{3}( |$)/.test(line)) return;
        if (!line.startsWith('2')) return reject(new Error(line));
        const next = steps.shift();
        if (next === undefined) return resolve();
        socket.write(`${next}\r\n`);
      });
    });
  } catch (cause) {
    throw refused(cause instanceof Error ? cause.message : String(cause));
  } finally {
    lines.close();
    socket.destroy();
  }
}
