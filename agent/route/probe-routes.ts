import type {HostRecord, HostStage} from '../../wire/record.ts';
import type {Role} from '../../wire/schema.ts';
import {probeUserAt} from '../config.ts';

/** Of a backend that has an agent and serves mailboxes. */
const SERVING: ReadonlySet<HostStage> = new Set(['probation', 'active', 'suspect']);

interface Self {
  host: string;
  role: Role;
}

/** The route table, as far as probes go. */
interface Pins {
  pin(user: string, host: string): void;
}

/**
 * Routes that only this host knows. Each backend keeps a mailbox for the probe of each edge; an edge sends its probe's logins to one
 * backend after the other, so that no backend that is ill makes an edge look so.
 */
export class ProbeRoutes {
  readonly #self: Self;
  readonly #pins: Pins;
  readonly #backends = new Set<string>();

  constructor(self: Self, pins: Pins) {
    this.#self = self;
    this.#pins = pins;
  }

  /** What is known of a host now. */
  take({host, role, stage}: Pick<HostRecord, 'host' | 'role' | 'stage'>): void {
    if (role === 'edge' && this.#self.role === 'backend') this.#pins.pin(probeUserAt(host), this.#self.host);
    this.removed(host);
    if (role === 'backend' && SERVING.has(stage)) this.#backends.add(host);
  }

  removed(host: string): void {
    this.#backends.delete(host);
  }

  /** On an edge: from now on `user` logs in to another backend than before. @returns which; null: none is known. */
  next(user: string): string | null {
    const [backend = null] = this.#backends;
    if (backend === null) return null;
    // To the end of the row.
    this.#backends.delete(backend);
    this.#backends.add(backend);
    this.#pins.pin(user, backend);
    return backend;
  }

  /** How many backends there are to log in to. */
  get backendCount(): number {
    return this.#backends.size;
  }
}
