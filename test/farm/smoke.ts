import {createTransport} from 'nodemailer';
import type {Farm} from '../../farm/farm.io.ts';
import {openRoutes} from '../../farm/host/routes-seed.io.ts';
import {makeLayout, users} from '../../farm/layout.ts';
import {imapClient} from '../../farm/mail/imap.io.ts';
import {farmPaths, hostPaths} from '../../farm/paths.ts';

/** A farm of its own beside any other on this machine: other bridge, network, directory and host names. */
export const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-test'}),
  layout: makeLayout('mhfarm9', '10.213.79', 3, [
    {name: 'te', role: 'edge', release: 'bookworm', last: 11, labels: {}, isSpare: false},
    {name: 't12', role: 'backend', release: 'bookworm', last: 21, labels: {}, isSpare: false},
    {name: 't13', role: 'backend', release: 'trixie', last: 22, labels: {}, isSpare: false},
  ]),
  say: () => undefined,
};

export const HOSTS = FARM.layout.hosts.map(spec => spec.name);

export function userOf(host: string, index = 0): {user: string; password: string} {
  const user = users(FARM.layout).filter(each => each.host === host)[index];
  if (user === undefined) throw new Error(`no user ${index} on ${host}`);
  return user;
}

export function addressOf(host: string): string {
  const spec = FARM.layout.hosts.find(each => each.name === host);
  if (spec === undefined) throw new Error(`no host ${host}`);
  return spec.address;
}

/** `ok`, or the response code and text the server gave. @param host through this one; an edge asks the others. */
export async function login(host: string, user: string, password: string): Promise<string> {
  const at = FARM.layout.hosts.filter(spec => spec.name === host).map(spec => ({...spec, role: 'edge' as const}));
  const client = imapClient({...FARM.layout, hosts: at}, {user, password}, false);
  try {
    await client.connect();
    await client.mailboxOpen('INBOX');
    await client.logout();
    return 'ok';
  } catch (error) {
    client.close();
    const {serverResponseCode, responseText, message} = error as {serverResponseCode?: string; responseText?: string; message: string};
    return [serverResponseCode, responseText ?? message].filter(part => part !== undefined).join(' ');
  }
}

/** Response code of a delivery by SMTP to the edge (port 25) or by LMTP to a backend (port 24). @param header more header lines, each with its CRLF. */
export async function deliver(host: string, port: 24 | 25, user: string, messageId: string, header = ''): Promise<number> {
  const transport = createTransport({
    host: addressOf(host),
    port,
    lmtp: port === 24,
    secure: false,
    ignoreTLS: true,
    name: 'outside.example',
  });
  try {
    const raw = `Message-ID: ${messageId}\r\n${header}Subject: test\r\n\r\nbody\r\n`;
    const info = await transport.sendMail({envelope: {from: 'a@outside.example', to: [user]}, raw});
    return Number(info.response.slice(0, 3));
  } catch (error) {
    return (error as {responseCode?: number}).responseCode ?? 0;
  } finally {
    transport.close();
  }
}

/** Writes a user's route into the tables of all hosts, as the agents would. @param heldSeconds 0 = not held. */
export async function setRoute(user: string, host: string, heldSeconds: number, target: string | null): Promise<void> {
  for (const name of HOSTS) {
    const db = await openRoutes(hostPaths(FARM.paths, name).root, name);
    db.prepare('UPDATE routes SET host = ?, generation = generation + 1, held_until = ?, held_target = ? WHERE user = ?').run(
      host,
      heldSeconds === 0 ? 0 : Date.now() / 1_000 + heldSeconds,
      target,
      user,
    );
    db.close();
  }
}

/** Waits until `check` gives something true, at most so long. */
export async function eventually<T>(timeoutMs: number, check: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value || performance.now() > endMs) return value;
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}
