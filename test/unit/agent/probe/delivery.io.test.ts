import {createServer} from 'node:net';
import {SMTPServer, type SMTPServerOptions} from 'smtp-server';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {probeBanner} from '../../../../agent/probe/banner.io.ts';
import {probeDelivery} from '../../../../agent/probe/delivery.io.ts';
import {probeLmtp} from '../../../../agent/probe/lmtp.io.ts';
import {Sink} from '../../../../agent/probe/sink.io.ts';

const log = {debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn()};
const closers: (() => Promise<unknown>)[] = [];
let sink: Sink;

beforeEach(async () => {
  sink = await Sink.listen('127.0.0.1', 0, log);
  closers.push(() => sink.close());
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A mail server that does what `options` say. */
async function server(options: SMTPServerOptions): Promise<number> {
  const smtp = new SMTPServer({disabledCommands: ['AUTH', 'STARTTLS'], logger: false, ...options});
  await new Promise<void>(resolve => smtp.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise<void>(resolve => smtp.close(resolve)));
  return (smtp.server.address() as {port: number}).port;
}

const probe = (port: number, timeoutMs = 5_000) =>
  probeDelivery({
    sink,
    address: '127.0.0.1',
    port,
    sender: 'probe@be01.mailherd.invalid',
    recipient: 'sink@probe.mailherd.invalid',
    timeoutMs,
  });

test('a message that reaches the sink is timed', async () => {
  const begun = performance.now();
  const outcome = await probe(sink.port);
  const wholeMs = performance.now() - begun;
  expect(outcome).toMatchObject({probe: 'delivery', ok: true});
  expect(outcome.ok && outcome.tookMs).toBeGreaterThan(0);
  // The library that the sink is made of greets after 100 ms: that is not the host's time.
  expect(outcome.ok && outcome.tookMs).toBeLessThan(wholeMs - 90);
});

test('several at once are told apart', async () => {
  const outcomes = await Promise.all([probe(sink.port), probe(sink.port), probe(sink.port)]);
  expect(outcomes.map(outcome => outcome.ok)).toEqual([true, true, true]);
});

test('accepted and never delivered is a failure at the deadline', async () => {
  const port = await server({onData: (stream, _session, done) => stream.on('end', () => done()).resume()});
  expect(await probe(port, 200)).toEqual({probe: 'delivery', ok: false, reason: 'did not arrive within 200 ms'});
});

test('a refusal ends it at once, with the words of the server', async () => {
  const port = await server({onRcptTo: (_address, _session, done) => done(new Error('no room'))});
  expect(await probe(port)).toMatchObject({ok: false, reason: expect.stringContaining('no room')});
});

test('a server that is not there, and one that says nothing', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
  const {port} = silent.address() as {port: number};
  expect(await probe(port, 200)).toMatchObject({ok: false});
  expect(await probeBanner('smtpBanner', '127.0.0.1', port, 200)).toEqual({
    probe: 'smtpBanner',
    ok: false,
    reason: 'no greeting within 200 ms',
  });
  await new Promise(resolve => silent.close(resolve));
  expect(await probe(port)).toMatchObject({ok: false, reason: expect.stringContaining('ECONNREFUSED')});
  expect(await probeBanner('imapBanner', '127.0.0.1', port, 200)).toMatchObject({
    ok: false,
    reason: expect.stringContaining('ECONNREFUSED'),
  });
});

test('a greeting is one of the right protocol', async () => {
  expect(await probeBanner('smtpBanner', '127.0.0.1', sink.port, 5_000)).toMatchObject({probe: 'smtpBanner', ok: true});
  expect(await probeBanner('imapBanner', '127.0.0.1', sink.port, 5_000)).toMatchObject({ok: false, reason: expect.stringMatching(/^220 /)});
});

test('mail that is no probe is swallowed, an address that is taken is an error', async () => {
  const waiting = sink.expect(50);
  expect(await waiting.arrived).toBeNull();
  await expect(Sink.listen('127.0.0.1', sink.port, log)).rejects.toMatchObject({
    code: 'PROBE_FAILED',
    detail: {reason: expect.stringContaining('EADDRINUSE')},
  });
});

test('LMTP: what was stored is timed, what was refused or hangs is not', async () => {
  const lmtp = (port: number, timeoutMs = 5_000) => probeLmtp({address: '127.0.0.1', port, user: 'probe@be01.mailherd.invalid', timeoutMs});
  const recipients: string[] = [];
  const stores = await server({
    lmtp: true,
    onRcptTo: (address, _session, done) => {
      recipients.push(address.address);
      done();
    },
    onData: (stream, _session, done) => stream.on('end', () => done()).resume(),
  });
  expect(await lmtp(stores)).toMatchObject({probe: 'lmtp', ok: true, tookMs: expect.any(Number)});
  expect(recipients).toEqual(['probe@be01.mailherd.invalid']);
  const full = await server({lmtp: true, onRcptTo: (_address, _session, done) => done(new Error('quota'))});
  expect(await lmtp(full)).toMatchObject({ok: false, reason: expect.stringContaining('quota')});
  const hangs = await server({lmtp: true, onData: () => undefined});
  expect(await lmtp(hangs, 300)).toEqual({probe: 'lmtp', ok: false, reason: 'not stored within 300 ms'});
});
