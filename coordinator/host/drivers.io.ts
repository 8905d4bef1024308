import {toRefusal} from '../../base/errors.ts';
import type {Log} from '../../wire/log.ts';
import type {HostRecord} from '../../wire/record.ts';
import type {HostFacts} from './facts.ts';
import {type ReinstallOrder, reinstall} from './reinstall.io.ts';

interface DriverRun {
  /** The permission it was started with: tells this run from an earlier one of the same host. */
  token: string;
  /** null while it runs. */
  outcome: {ok: boolean; reason: string} | null;
  isTold: boolean;
}

/**
 * The reinstall drivers that this process has started. They outlive a term: a driver that is stopped half-way leaves a host that does
 * not boot, while one that runs to its end harms nobody, since the host is empty and the wipe was allowed.
 */
export class Drivers {
  readonly #command: readonly string[] | null;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #runs = new Map<string, DriverRun>();

  /** @param signal end of the process. */
  constructor(command: readonly string[] | null, log: Log, signal: AbortSignal) {
    this.#command = command;
    this.#log = log;
    this.#signal = signal;
  }

  get isConfigured(): boolean {
    return this.#command !== null;
  }

  /** Starts the driver in the background. */
  start(order: ReinstallOrder): void {
    const {host} = order.record;
    const run: DriverRun = {token: order.token, outcome: null, isTold: false};
    this.#runs.set(host, run);
    reinstall(this.#command ?? [], order, this.#log, this.#signal).then(
      () => {
        this.#log.info({host, release: order.release}, 'reinstall driver is done');
        run.outcome = {ok: true, reason: ''};
      },
      error => {
        const {code, detail} = toRefusal(error);
        this.#log.error({host, code, detail}, 'reinstall failed');
        run.outcome = {ok: false, reason: `${code} ${JSON.stringify(detail)}`};
      },
    );
  }

  /** @param wipe permission in the host's record. */
  state(host: string, wipe: HostRecord['wipe']): HostFacts['driver'] {
    const run = this.#runs.get(host);
    if (run === undefined || run.token !== wipe?.token) return 'none';
    return run.outcome === null ? 'running' : 'ended';
  }

  /** How the driver of `host` ended, until `told` is called. */
  outcome(host: string, wipe: HostRecord['wipe']): {ok: boolean; reason: string} | null {
    const run = this.#runs.get(host);
    return run === undefined || run.token !== wipe?.token || run.isTold ? null : run.outcome;
  }

  told(host: string): void {
    const run = this.#runs.get(host);
    if (run !== undefined) run.isTold = true;
  }

  /** Resolves when no driver runs any more. */
  async idle(sleep: (ms: number) => Promise<void>): Promise<void> {
    while ([...this.#runs.values()].some(({outcome}) => outcome === null)) await sleep(50);
  }
}
