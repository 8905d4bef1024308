import {closeSync, constants, existsSync, openSync, readFileSync, readSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {replaceFile} from '../../base/replace.io.ts';
import {MINUTE_MS} from '../../base/units.ts';
import {decode, encode} from '../../wire/codec.ts';
import type {System} from '../../wire/kernel.ts';
import type {Log} from '../../wire/log.ts';
import {KernelLogPosition, KernelTroubles, type TroubleTold} from './kernel-troubles.ts';

/** The kernel gives one record a read, none longer. Source: kernel/printk/printk.c, PRINTK_MESSAGE_MAX. */
const RECORD_BYTES_MAX = 8_192;
/** Of one look: a flood is read over several, and what the kernel overwrites meanwhile is counted. */
const RECORDS_MAX = 1_000;
const TOLD_MAX = 8;
const SAVE_EVERY_MS = MINUTE_MS;
/** Any of them: what runs here is a guest in another's kernel. Source: the container interface of systemd; docker, podman. */
const CONTAINER_MARKS = ['/run/systemd/container', '/.dockerenv', '/run/.containerenv'];

interface KernelLogOptions {
  /** File that keeps the position. */
  path: string;
  told: TroubleTold;
  log: Log;
  /** Tests say so themselves. */
  isContainer?: boolean;
  device?: string;
}

export type KernelLogFigures = NonNullable<System['kernelLog']>;

/** Reads the kernel's log as far as it goes at each look, never waiting for more, from where the last agent stopped. */
export class KernelLog {
  readonly #options: KernelLogOptions;
  readonly #device: string;
  readonly #isContainer: boolean;
  readonly #troubles: KernelTroubles;
  readonly #buffer = Buffer.alloc(RECORD_BYTES_MAX);
  #fd: number | null = null;
  #savedAtMs = Number.NEGATIVE_INFINITY;

  private constructor(options: KernelLogOptions, position: KernelLogPosition | null) {
    this.#options = options;
    this.#device = options.device ?? '/dev/kmsg';
    this.#isContainer = options.isContainer ?? CONTAINER_MARKS.some(existsSync);
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    this.#troubles = new KernelTroubles(boot, options.told, position, systemClock.now());
  }

  static async open(options: KernelLogOptions): Promise<KernelLog> {
    return new KernelLog(options, await load(options));
  }

  /** The log of a container is its machine's, which says nothing of this host alone. */
  get absence(): string | null {
    return this.#isContainer ? 'this host is a container: the log is that of its machine' : null;
  }

  /**
   * What stands now; null where there is no log of this host's own (`absence`).
   * @throws MailherdError COMMAND_FAILED when the log cannot be read.
   */
  async take(): Promise<KernelLogFigures | null> {
    if (this.#isContainer) return null;
    const {changed, isWhole} = this.#read();
    const hasSettled = isWhole && this.#troubles.settle(systemClock.now());
    if (changed || hasSettled || systemClock.monotonic() - this.#savedAtMs >= SAVE_EVERY_MS) await this.save();
    const newest = this.#troubles
      .standing(systemClock.now())
      .sort((a, b) => b.lastMs - a.lastMs)
      .slice(0, TOLD_MAX);
    return {troubles: newest.map(({trouble, of, complaints}) => ({trouble, of, complaints})), lost: this.#troubles.lost};
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  /** Writes the position; a failure is logged. */
  async save(): Promise<void> {
    if (this.#isContainer) return;
    this.#savedAtMs = systemClock.monotonic();
    const {path, log} = this.#options;
    await replaceFile(path, encode(KernelLogPosition, this.#troubles.position)).catch(error =>
      log.warn({error: String(error)}, 'position in the log of the kernel could not be saved'),
    );
  }

  #read(): {changed: boolean; isWhole: boolean} {
    this.#fd ??= this.#tried('open', () => openSync(this.#device, constants.O_RDONLY | constants.O_NONBLOCK));
    const fd = this.#fd;
    const [nowMs, uptimeMs] = [systemClock.now(), Number(process.hrtime.bigint() / 1_000_000n)];
    const ageMsOf = (atUs: number): number => uptimeMs - atUs / 1_000;
    let changed = false;
    for (let count = 0; count < RECORDS_MAX; count++) {
      const line = this.#tried('read', () => this.#next(fd));
      if (line === null) return {changed, isWhole: true};
      changed = this.#troubles.take(line, nowMs, ageMsOf) || changed;
    }
    return {changed, isWhole: false};
  }

  /** null: there is no more now. */
  #next(fd: number): string | null {
    try {
      return this.#buffer.toString('utf8', 0, readSync(fd, this.#buffer, 0, RECORD_BYTES_MAX, null));
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return null;
      // The oldest were overwritten: the next read goes on behind them.
      if (code === 'EPIPE') return '';
      throw error;
    }
  }

  #tried<T>(op: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException;
      throw new MailherdError('COMMAND_FAILED', {command: `${op} ${this.#device}`, reason: code ?? String(error)}, {cause: error});
    }
  }
}

/** Where a former agent stopped; null: nowhere, or nobody knows. */
async function load({path, log}: KernelLogOptions): Promise<KernelLogPosition | null> {
  try {
    return decode(KernelLogPosition, await readFile(path, 'utf8'), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({error: String(error)}, 'position in the log of the kernel is unreadable: it is read from its beginning');
    return null;
  }
}
