// Follows Mailherd's events as a durable consumer: it goes on where it stopped, also after a restart or an outage.
//   node docs/consume-events.mjs nats://127.0.0.1:4222 observer.seed NAME [--once]
// NAME is yours: each subscriber keeps its own place. --once ends when all events so far are read.
import {readFileSync} from 'node:fs';
import {AckPolicy, jetstream, jetstreamManager} from '@nats-io/jetstream';
import {connect, nkeyAuthenticator} from '@nats-io/transport-node';

const [server, seedFile, name, once] = process.argv.slice(2);
if (name === undefined) {
  console.error('usage: consume-events.mjs SERVER SEED_FILE NAME [--once]');
  process.exit(2);
}

const nc = await connect({
  servers: [server],
  authenticator: nkeyAuthenticator(new TextEncoder().encode(readFileSync(seedFile, 'utf8').trim())),
  inboxPrefix: '_INBOX_observer',
  maxReconnectAttempts: -1,
});
const STREAM = 'mailherd_events';
const manager = await jetstreamManager(nc, {checkAPI: false});
// Add `filter_subject: 'mailherd.event.*.verdictChanged'` for one type, 'mailherd.event.be07.>' for one host.
await manager.consumers.add(STREAM, {durable_name: name, ack_policy: AckPolicy.Explicit});
const consumer = await jetstream(nc).consumers.get(STREAM, name);
const messages = once === '--once' ? await consumer.fetch({max_messages: 1_000, expires: 1_000}) : await consumer.consume();
for await (const message of messages) {
  // At least once: after a crash between here and the acknowledgement it comes again, with the same id.
  console.log(message.string());
  message.ack();
}
await nc.drain();
