import {MailherdError} from '../../base/errors.ts';
import type {Experiment, Incident, IncidentState} from '../../wire/incident.ts';
import type {Stored} from '../bucket-port.ts';

/** Key of what a leader goes on from; all other keys are incidents that are over. */
export const STATE_KEY = 'state';

/** The incidents as the bucket has them; every coordinator knows them. */
export class IncidentBook {
  readonly #closed = new Map<string, Stored<Incident>>();
  #state: IncidentState | null = null;

  apply(entry: Stored<Incident | IncidentState>): void {
    const {value} = entry;
    if ('sequence' in value) this.#state = value;
    else this.#closed.set(entry.key, {...entry, value});
  }

  remove(key: string): void {
    this.#closed.delete(key);
  }

  /** The one that lasts; null in quiet times. */
  open(): Incident | null {
    return this.#state?.open ?? null;
  }

  /** Hosts of the one that lasts that were sick when it was stored last. */
  sick(): string[] {
    return Object.entries(this.#state?.ill ?? {}).flatMap(([host, how]) => (how === 'sick' ? [host] : []));
  }

  /** In order of time. */
  all(): Incident[] {
    const open = this.open();
    const closed = [...this.#closed.values()].map(({value}) => value).sort((a, b) => a.id - b.id);
    // One that was closed just now may still stand in the older state.
    return open === null || closed.some(({id}) => id === open.id) ? closed : [...closed, open];
  }

  /** @throws MailherdError INCIDENT_UNKNOWN. */
  one(id: number): Incident {
    const incident = this.all().find(known => known.id === id);
    if (incident === undefined) throw new MailherdError('INCIDENT_UNKNOWN', {incidentId: id});
    return incident;
  }

  /** Those of the incident that lasts, or of the last one. */
  experiments(): Experiment[] {
    return this.all().at(-1)?.experiments ?? [];
  }

  /** All but the newest so many, oldest first. */
  beyond(keep: number): Stored<Incident>[] {
    const ordered = [...this.#closed.values()].sort((a, b) => a.value.id - b.value.id);
    return ordered.slice(0, Math.max(0, ordered.length - keep));
  }
}
