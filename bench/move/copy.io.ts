import {existsSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import type {ApiAccess} from '../../farm/api.io.ts';
import type {Farm} from '../../farm/farm.io.ts';
import {findHost, type UserSpec, users} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {type CorpusMessage, readCorpus} from '../../farm/mail/corpus.io.ts';
import {imapClient} from '../../farm/mail/imap.io.ts';
import {homeOf} from '../../farm/mail/owned.io.ts';
import {ended, startMove} from '../../farm/moves.io.ts';
import {hostPaths} from '../../farm/paths.ts';
import type {MoveRecord, MoveStep} from '../../wire/record.ts';
import {median, rounded} from '../benchmark.ts';
import {formatOf} from './farm.io.ts';
import {fillMaildir} from './mailbox.io.ts';

const TAR_PORT = 9_999;
/** As the mover runs, whose copies yield to mail (packaging/units/mailherd-mover.service). */
const NICE = 'nice -n 5';
const MOVE_TIMEOUT_MS = 300_000;
const TAR_TIMEOUT_MS = 60_000;
/** dsync confirms each message with an fsync, and a busy disk takes its time for 10,000. */
const PLAIN_TIMEOUT_MS = 900_000;
const LONG_MS = 10_000;
/** Beyond `FRESH_MS` of coordinator/sizes.io.ts. */
const SIZES_FRESH_MS = 61_000;

type Format = ReturnType<typeof formatOf>;

/** What is copied, and between which hosts; the first two are the main figures. */
const KINDS: Readonly<Record<string, readonly [source: string, target: string, format: Format]>> = {
  'maildir 2.3 -> 2.3': ['m12a', 'm12b', 'maildir'],
  'maildir 2.4 -> 2.4': ['m13a', 'm13b', 'maildir'],
  'maildir 2.3 -> 2.4': ['m12a', 'm13b', 'maildir'],
  'maildir 2.4 -> 2.3': ['m13a', 'm12b', 'maildir'],
  'sdbox 2.3 -> 2.3': ['m12a', 'm12b', 'sdbox'],
  'sdbox 2.4 -> 2.4': ['m13a', 'm13b', 'sdbox'],
  'mdbox 2.3 -> 2.3': ['m12a', 'm12b', 'mdbox'],
  'mdbox 2.4 -> 2.4': ['m13a', 'm13b', 'mdbox'],
};
const LONG_MESSAGE_BYTES = 1_000_000;
const MAIN = Object.keys(KINDS).slice(0, 2);

export interface CopyOptions {
  messages: number;
  /** Messages of the mailboxes of other formats and pairs. */
  otherMessages: number;
  /** Messages of 1 MB each of a further mailbox for each main figure; 0: none. */
  longMessages: number;
  /** Mailboxes moved of each kind; the median counts. */
  runs: number;
  /** Measures only the kinds that have this in their name. */
  only: string;
}

/** Messages a second of each way to copy one mailbox. */
interface Speeds {
  plain: number;
  ours: number;
  /** null: not measured. */
  tar: number | null;
}

/** Plain `doveadm backup`, `tar | tar` and a move's own copying, one after the other, for every pair of releases and format. */
export async function measureCopies(farm: Farm, access: ApiAccess, options: CopyOptions): Promise<Record<string, unknown>> {
  const {messages, otherMessages, longMessages, runs} = options;
  const corpus = await readCorpus(2_000);
  const bench = new CopyBench(farm, access);
  const kinds = Object.keys(KINDS).filter(name => name.includes(options.only));
  const speeds = new Map<string, Speeds>();
  for (const kind of kinds)
    speeds.set(kind, await bench.measure(kind, {count: MAIN.includes(kind) ? messages : otherMessages, runs, corpus}));
  const long = new Map<string, Speeds>();
  for (const kind of longMessages === 0 ? [] : kinds.filter(name => MAIN.includes(name)))
    long.set(kind, await bench.measure(kind, {count: longMessages, runs: 1, corpus: joined(corpus, LONG_MESSAGE_BYTES)}));
  return {
    messages,
    ...mainFigures(speeds),
    formats: Object.fromEntries([...speeds].filter(([kind]) => !MAIN.includes(kind)).map(([kind, each]) => [kind, figures(each, '')])),
    longMessages: {messages: longMessages, bytesEach: LONG_MESSAGE_BYTES, ...mainFigures(long)},
  };
}

/**
 * One move of a maildir of very many messages between hosts of 2.3, to which nobody is connected.
 * @returns ms from the first step to the hold, of the hold until the target has taken over, and in which changes waited.
 */
export async function measureLarge(farm: Farm, access: ApiAccess, messages: number): Promise<Record<string, number | null>> {
  return new CopyBench(farm, access).large(messages, await readCorpus(2_000));
}

/** Messages of at least so many bytes, made of several. */
function joined(corpus: readonly CorpusMessage[], bytes: number): CorpusMessage[] {
  return Array.from({length: 20}, (_, first) => {
    let text = '';
    for (let at = first; text.length < bytes; at++) text += corpus[at % corpus.length]?.text ?? '';
    return {messageId: '', text};
  });
}

function mainFigures(speeds: ReadonlyMap<string, Speeds>): Record<string, number | null> {
  const [old, recent] = MAIN.map(kind => speeds.get(kind) ?? null);
  const tarRatios = [old, recent].flatMap(each => (each?.tar == null ? [] : [each.ours / each.tar]));
  return {
    ...figures(old ?? null, ''),
    ...figures(recent ?? null, '24'),
    tarRatio: tarRatios.length === 0 ? null : rounded(Math.min(...tarRatios)),
  };
}

/** @param suffix of their names. */
function figures(speeds: Speeds | null, suffix: string): Record<string, number | null> {
  const {plain, ours} = speeds ?? {plain: null, ours: null};
  return {
    [`plainMsgsPerSecond${suffix}`]: plain === null ? null : rounded(plain),
    [`msgsPerSecond${suffix}`]: ours === null ? null : rounded(ours),
    [`ratio${suffix}`]: plain === null || ours === null ? null : rounded(ours / plain),
  };
}

class CopyBench {
  readonly #farm: Farm;
  readonly #access: ApiAccess;
  readonly #used = new Set<string>();

  constructor(farm: Farm, access: ApiAccess) {
    this.#farm = farm;
    this.#access = access;
  }

  /** What takes long is measured once, the rest once a run. */
  async measure(kind: string, {count, runs, corpus}: {count: number; runs: number; corpus: readonly CorpusMessage[]}): Promise<Speeds> {
    const [source, target, format] = KINDS[kind] ?? [];
    if (source === undefined || target === undefined || format === undefined) throw new Error(`no kind ${kind}`);
    const isMain = MAIN.includes(kind);
    const ms: Record<keyof Speeds, number[]> = {plain: [], ours: [], tar: []};
    for (let run = 0; run < runs; run++) {
      const {user} = await this.#filled(source, format, count, corpus, run);
      if (!(Math.max(...ms.plain) > LONG_MS)) ms.plain.push(await this.#plain(source, target, user, count));
      if (isMain) ms.tar.push(await this.#tar(source, target, user, count));
      ms.ours.push(copyMs(await this.#move(user, target, count)));
    }
    const perSecond = (times: readonly number[]): number => (count * 1_000) / median(times);
    return {plain: perSecond(ms.plain), ours: perSecond(ms.ours), tar: isMain ? perSecond(ms.tar) : null};
  }

  async large(messages: number, corpus: readonly CorpusMessage[]): Promise<Record<string, number | null>> {
    const [source, target, format] = KINDS['maildir 2.3 -> 2.3'] as (typeof KINDS)[string];
    const filled = await this.#filled(source, format, messages, corpus, 0);
    const {user} = filled;
    // Of a mailbox that is taken to be empty no target takes so large a seed. Its size is read again where somebody was, and asked for before a plan.
    const client = imapClient(this.#farm.layout, filled, false);
    await client.connect();
    await client.logout();
    await new Promise(resolve => setTimeout(resolve, SIZES_FRESH_MS));
    const record = await this.#move(user, target, messages);
    return {messages, copyMs: copyMs(record), holdMs: msAt(record, 'adopting') - msAt(record, 'holding'), pauseMs: record.pauseMs};
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
  async #filled(host: string, format: Format, messages: number, corpus: readonly CorpusMessage[], seed: number): Promise<UserSpec> {
    const found = users(this.#farm.layout).find(each => each.host === host && !this.#used.has(each.user) && formatOf(each.user) === format);
    if (found === undefined) throw new Error(`no user of ${host} is left`);
    const {user} = found;
    this.#used.add(user);
    const home = homeOf(this.#store(host), user);
    await fillMaildir(`${home}/Maildir`, messages, corpus, seed);
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
    const command = ['doveadm', 'backup', '-u', user, `tcp:${this.#address(target)}:24245`];
    await runIn(this.#farm.paths, source, command, {timeoutMs: PLAIN_TIMEOUT_MS});
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

  /** One move by the coordinator. */
  async #move(user: string, target: string, messages: number): Promise<MoveRecord> {
    const source = users(this.#farm.layout).find(each => each.user === user)?.host ?? '';
    await this.#settle(source, target);
    const record = await ended(this.#access, await startMove(this.#access, user, target), MOVE_TIMEOUT_MS);
    if (record?.step !== 'retained' || record.verified?.messages !== messages)
      throw new Error(`the move of ${user} ended ${record?.step}: ${JSON.stringify(record?.refusal ?? record?.verified)}`);
    const steps = record.timeline.map(({step, atMs}) => `${step} +${atMs - msAt(record, 'reserving')}`).join(', ');
    this.#say(`moved (${steps})`, user, target, copyMs(record));
    return record;
  }

  /** What the step before left to be written is none of the next one's time. */
  async #settle(...hosts: string[]): Promise<void> {
    for (const host of hosts) await this.#in(host, ['sync', '-f', '/var/vmail']);
  }

  #say(what: string, user: string, target: string, ms: number): void {
    this.#farm.say(`${user} -> ${target}: ${Math.round(ms)} ms ${what}`);
  }
}

function msAt({timeline}: MoveRecord, step: MoveStep): number {
  return timeline.find(entry => entry.step === step)?.atMs ?? Number.NaN;
}

/** From the first step until the copy was complete, on disk, and the hold began. */
function copyMs(record: MoveRecord): number {
  return msAt(record, 'holding') - msAt(record, 'reserving');
}
