import {existsSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import type {ApiAccess} from '../../farm/api.io.ts';
import type {Farm} from '../../farm/farm.io.ts';
import {findHost, type UserSpec, users} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {type CorpusMessage, readCorpus} from '../../farm/mail/corpus.io.ts';
import {homeOf} from '../../farm/mail/owned.io.ts';
import {ended, startMove} from '../../farm/moves.io.ts';
import {hostPaths} from '../../farm/paths.ts';
import {median, rounded} from '../benchmark.ts';
import {FORMATS} from './farm.io.ts';
import {fillMaildir} from './mailbox.io.ts';

const TAR_PORT = 9_999;
/** As the agent runs, whose moves yield to mail (packaging/units/mailherd-agent.service). */
const NICE = 'nice -n 5';
const MOVE_TIMEOUT_MS = 300_000;
const TAR_TIMEOUT_MS = 60_000;

export interface CopyOptions {
  messages: number;
  /** Messages of the mailboxes of other formats and pairs. */
  otherMessages: number;
  /** Mailboxes moved for each of the two main figures; the median counts. */
  runs: number;
}

/** Messages a second of each way to copy one mailbox. */
interface Speeds {
  plain: number;
  ours: number;
  tar: number | null;
}

/** Plain `doveadm backup`, `tar | tar` and a move's own copying, one after the other, for every pair of releases and format. */
export async function measureCopies(farm: Farm, access: ApiAccess, options: CopyOptions): Promise<Record<string, unknown>> {
  const bench = new CopyBench(farm, access, await readCorpus(2_000));
  const old = await bench.maildirs('m12a', 'm12b', options.messages, options.runs);
  const recent = await bench.maildirs('m13a', 'm13b', options.messages, options.runs);
  const formats: Record<string, Speeds> = {
    'maildir 2.3 -> 2.4': await bench.one('m12a', 'm13b', 'maildir', options.otherMessages),
    'maildir 2.4 -> 2.3': await bench.one('m13a', 'm12b', 'maildir', options.otherMessages),
  };
  for (const format of ['sdbox', 'mdbox'] as const) {
    formats[`${format} 2.3 -> 2.3`] = await bench.one('m12a', 'm12b', format, options.otherMessages);
    formats[`${format} 2.4 -> 2.4`] = await bench.one('m13a', 'm13b', format, options.otherMessages);
  }
  return {
    messages: options.messages,
    plainMsgsPerSecond: rounded(old.plain),
    msgsPerSecond: rounded(old.ours),
    ratio: rounded(old.ours / old.plain),
    plainMsgsPerSecond24: rounded(recent.plain),
    msgsPerSecond24: rounded(recent.ours),
    ratio24: rounded(recent.ours / recent.plain),
    tarRatio: rounded(Math.min(old.ours / old.tar, recent.ours / recent.tar)),
    formats: Object.fromEntries(
      Object.entries(formats).map(([name, {plain, ours}]) => [
        name,
        {plainMsgsPerSecond: rounded(plain), msgsPerSecond: rounded(ours), ratio: rounded(ours / plain)},
      ]),
    ),
  };
}

class CopyBench {
  readonly #farm: Farm;
  readonly #access: ApiAccess;
  readonly #corpus: readonly CorpusMessage[];
  readonly #used = new Set<string>();

  constructor(farm: Farm, access: ApiAccess, corpus: readonly CorpusMessage[]) {
    this.#farm = farm;
    this.#access = access;
    this.#corpus = corpus;
  }

  /** `doveadm backup` is measured once, what is short as often as there are runs. */
  async maildirs(source: string, target: string, messages: number, runs: number): Promise<{plain: number; ours: number; tar: number}> {
    const tarMs: number[] = [];
    const oursMs: number[] = [];
    let plainMs: number | null = null;
    for (let run = 0; run < runs; run++) {
      const {user} = await this.#filled(source, 'maildir', messages, run);
      plainMs ??= await this.#plain(source, target, user, messages);
      tarMs.push(await this.#tar(source, target, user, messages));
      oursMs.push(await this.#move(user, target, messages));
    }
    const perSecond = (ms: number): number => (messages * 1_000) / ms;
    return {plain: perSecond(plainMs ?? Number.NaN), ours: perSecond(median(oursMs)), tar: perSecond(median(tarMs))};
  }

  async one(source: string, target: string, format: 'maildir' | keyof typeof FORMATS, messages: number): Promise<Speeds> {
    const {user} = await this.#filled(source, format, messages, 99);
    const plainMs = await this.#plain(source, target, user, messages);
    const oursMs = await this.#move(user, target, messages);
    return {plain: (messages * 1_000) / plainMs, ours: (messages * 1_000) / oursMs, tar: null};
  }

  #store(host: string): string {
    return hostPaths(this.#farm.paths, host).store;
  }

  #in(host: string, command: readonly string[]): Promise<string> {
    return runIn(this.#farm.paths, host, command);
  }

  #address(host: string): string {
    const spec = findHost(this.#farm.layout, host);
    if (spec === undefined) throw new Error(`no host ${host}`);
    return spec.address;
  }

  /** A user of `host` nobody has used yet, with so many messages that Dovecot has seen. */
  async #filled(host: string, format: 'maildir' | keyof typeof FORMATS, messages: number, seed: number): Promise<UserSpec> {
    const given = format === 'maildir' ? null : FORMATS[format];
    const others = Object.values(FORMATS).map(name => `${name}.`);
    const found = users(this.#farm.layout).find(
      ({user, host: home}) =>
        home === host &&
        !this.#used.has(user) &&
        (given === null ? !others.some(name => user.startsWith(name)) : user.startsWith(`${given}.`)),
    );
    if (found === undefined) throw new Error(`no user of ${host} is left`);
    const {user} = found;
    this.#used.add(user);
    const home = homeOf(this.#store(host), user);
    await fillMaildir(`${home}/Maildir`, messages, this.#corpus, seed);
    if (format !== 'maildir') {
      await this.#in(host, ['doveadm', 'backup', '-R', '-u', user, 'maildir:~/Maildir']);
      await rm(`${home}/Maildir`, {recursive: true});
    }
    await this.#in(host, ['doveadm', 'mailbox', 'status', '-u', user, 'guid messages vsize', '*']);
    return found;
  }

  /** @returns ms until the copy is complete and on disk; it is removed again. */
  async #plain(source: string, target: string, user: string, messages: number): Promise<number> {
    await this.#settle(source, target);
    const begun = performance.now();
    await this.#in(source, ['doveadm', 'backup', '-u', user, `tcp:${this.#address(target)}:24245`]);
    await this.#in(target, ['sync', '-f', '/var/vmail']);
    const ms = performance.now() - begun;
    const status = await this.#in(target, ['doveadm', 'mailbox', 'status', '-u', user, '-t', 'messages', '*']);
    if (Number(/messages=(\d+)/.exec(status)?.[1]) !== messages) throw new Error(`the plain copy of ${user} is not complete: ${status}`);
    await this.#in(target, ['rm', '-rf', homeOf('/var/vmail', user)]);
    this.#say('doveadm backup', user, target, ms);
    return ms;
  }

  /** `tar | tar` over TCP between the two hosts. @returns ms until everything is unpacked and on disk; it is removed again. */
  async #tar(source: string, target: string, user: string, messages: number): Promise<number> {
    await this.#settle(source, target);
    const unpacked = '/var/vmail/unpacked';
    const script = `mkdir ${unpacked} && ${NICE} tar -x --no-same-owner -C ${unpacked} && sync -f ${unpacked} && touch ${unpacked}.done`;
    const unit = 'bench-tar';
    const listen = ['systemd-socket-activate', `--listen=${TAR_PORT}`, '--accept', '--inetd', '/bin/sh', '-c', script];
    await this.#in(target, ['systemd-run', '--quiet', `--unit=${unit}`, ...listen]);
    const done = `${this.#store(target)}/unpacked.done`;
    const send = `exec 3<>/dev/tcp/${this.#address(target)}/${TAR_PORT} && exec ${NICE} tar -c -C ${homeOf('/var/vmail', user)}/Maildir . >&3 3>&-`;
    // Until the unit listens.
    await this.#in(target, ['sh', '-c', `until ss -ltn | grep -q :${TAR_PORT}; do sleep 0.05; done`]);
    const begun = performance.now();
    await this.#in(source, ['bash', '-c', send]);
    while (!existsSync(done)) {
      if (performance.now() - begun > TAR_TIMEOUT_MS) throw new Error('tar | tar does not end');
      await new Promise(resolve => setTimeout(resolve, 2));
    }
    const ms = performance.now() - begun;
    await this.#in(target, ['systemctl', 'stop', unit]);
    const files = await this.#in(target, ['sh', '-c', `find ${unpacked} -path '*/cur/*' | wc -l`]);
    if (Number(files) !== messages) throw new Error(`tar | tar brought ${files.trim()} messages`);
    await this.#in(target, ['rm', '-rf', unpacked, `${unpacked}.done`]);
    this.#say('tar | tar', user, target, ms);
    return ms;
  }

  /** One move by the coordinator. @returns ms from its first step until the copy was complete, on disk, and the hold began. */
  async #move(user: string, target: string, messages: number): Promise<number> {
    const source = users(this.#farm.layout).find(each => each.user === user)?.host ?? '';
    await this.#settle(source, target);
    const record = await ended(this.#access, await startMove(this.#access, user, target), MOVE_TIMEOUT_MS);
    if (record?.step !== 'retained' || record.verified?.messages !== messages)
      throw new Error(`the move of ${user} ended ${record?.step}: ${JSON.stringify(record?.refusal ?? record?.verified)}`);
    const at = (step: string): number => record.timeline.find(entry => entry.step === step)?.atMs ?? Number.NaN;
    const ms = at('holding') - at('reserving');
    this.#say(`moved (${record.timeline.map(({step, atMs}) => `${step} +${atMs - at('reserving')}`).join(', ')})`, user, target, ms);
    return ms;
  }

  /** What the step before left to be written is none of the next one's time. */
  async #settle(...hosts: string[]): Promise<void> {
    for (const host of hosts) await this.#in(host, ['sync', '-f', '/var/vmail']);
  }

  #say(what: string, user: string, target: string, ms: number): void {
    this.#farm.say(`${user} -> ${target}: ${Math.round(ms)} ms ${what}`);
  }
}
