import type {Clock} from '../../base/clock.ts';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import {type Instant, MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import type {EventData} from '../../wire/event.ts';
import type {Incident, IncidentState} from '../../wire/incident.ts';
import type {Log} from '../../wire/log.ts';
import type {EventFeed} from '../api/ports.ts';
import type {BucketPort} from '../bucket-port.ts';
import type {Emit} from '../events.io.ts';
import type {FlowOutcome} from '../flow.ts';
import {triedHosts} from '../health/tried.ts';
import type {Picture} from '../picture.ts';
import {STATE_KEY} from './book.ts';
import {outcomeOf} from './experiment.ts';
import {IncidentFold, NO_INCIDENTS, SILENT} from './fold.ts';

/** Incidents that are over and still kept. */
const KEEP_MAX = 300;
/** A page must be gone for so long before it is said to be over. */
const GONE_MS = 30 * SECOND_MS;
/** How far it has read is stored this often in quiet times. */
const QUIET_STORE_MS = MINUTE_MS;
/** Told of such as are newer only: a leader that reads its first events reads old ones. */
const NEWS_MS = 10 * MINUTE_MS;

export type IncidentBucket = BucketPort<Incident | IncidentState> & {remove(key: string, expectedRevision: number): Promise<void>};

export interface IncidentDeps {
  picture: Picture;
  bucket: IncidentBucket;
  events: EventFeed;
  emit: Emit;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

type Summary = EventData<'incidentChanged'>;

/**
 * Opens, updates and closes incidents from the farm's events, and stores them. Leader only. What is stored names the last event that is in it:
 * the next leader goes on from there, so that nothing is lost or told twice, however the last one ended.
 */
export class IncidentKeeper {
  readonly #deps: IncidentDeps;
  #fold = new IncidentFold();
  /** Of the stored state; null while it is not read. */
  #revision: number | null = null;
  #following = new AbortController();
  #stored = {sequence: 0, atMs: 0, summary: null as Summary | null};
  /** When a page was not decided any more, by host and code. */
  readonly #goneSinceMs = new Map<string, Instant>();
  readonly #ended = new Set<string>();
  readonly #concluded = new Set<string>();
  #warnedMs = 0;

  constructor(deps: IncidentDeps) {
    this.#deps = deps;
  }

  /** Once a round. What fails is tried again in the next one. */
  async look(outcome: FlowOutcome): Promise<void> {
    const {clock, log, signal} = this.#deps;
    if (signal.aborted) return;
    try {
      if (this.#revision === null) await this.#begin();
      this.#fold.settle(clock.now());
      this.#endPages(outcome);
      this.#endExperiments(outcome);
      await this.#store();
      await this.#prune();
    } catch (error) {
      const refusal = toRefusal(error);
      // Once a minute: it is tried again every round.
      const isNews = clock.now() - this.#warnedMs >= MINUTE_MS;
      if (isNews) this.#warnedMs = clock.now();
      if (isNews) log.warn({refusal}, 'incidents are not stored');
      // Somebody else wrote there: what he knows counts.
      if (refusal.code === 'STORE_CONFLICT') this.#revision = null;
    }
  }

  /** Goes on from what is stored. */
  async #begin(): Promise<void> {
    const {bucket, events, log, signal} = this.#deps;
    this.#following.abort();
    const entry = await bucket.get(STATE_KEY);
    if (entry !== null && !('sequence' in entry.value)) throw new MailherdError('STORE_CORRUPT', {key: STATE_KEY});
    const state = (entry?.value ?? NO_INCIDENTS) as IncidentState;
    const fold = new IncidentFold(state);
    this.#fold = fold;
    this.#stored = {sequence: state.sequence, atMs: 0, summary: summaryOf(state.open, 'changed')};
    this.#following = new AbortController();
    const end = AbortSignal.any([this.#following.signal, signal]);
    const taken = (sequence: number, event: Parameters<IncidentFold['take']>[1]): boolean => {
      fold.take(sequence, event);
      return true;
    };
    events.follow(state.sequence, taken, end).catch(error => {
      log.warn({refusal: toRefusal(error)}, 'events cannot be followed');
      this.#revision = null;
    });
    this.#revision = entry?.revision ?? 0;
  }

  /** What a person was called for, and is not there any more. */
  #endPages({decisions}: FlowOutcome): void {
    const {emit, clock} = this.#deps;
    const {pages, ill, called = {}} = this.#fold.state;
    const nowMs = clock.now();
    // A state of an older release does not say why a person was called for a host.
    const silent = Object.entries(ill).flatMap(([host, how]) => (how === 'silent' ? [[host, SILENT]] : []));
    const byHost = Object.entries<string>({...Object.fromEntries(silent), ...called});
    const open = [...pages.map(because => ({host: null, because})), ...byHost.map(([host, because]) => ({host, because}))];
    const keys = new Set(open.map(keyOf));
    for (const key of [...this.#goneSinceMs.keys(), ...this.#ended]) {
      if (keys.has(key)) continue;
      this.#goneSinceMs.delete(key);
      this.#ended.delete(key);
    }
    for (const {host, because} of open) {
      const key = keyOf({host, because});
      if (decisions.some(each => each.kind === 'page' && each.host === host && (host !== null || each.because === because))) {
        this.#goneSinceMs.delete(key);
        continue;
      }
      const sinceMs = this.#goneSinceMs.get(key) ?? nowMs;
      this.#goneSinceMs.set(key, sinceMs);
      if (nowMs - sinceMs < GONE_MS || this.#ended.has(key)) continue;
      this.#ended.add(key);
      emit('pageEnded', host, {because});
    }
  }

  #endExperiments({verdicts, slis}: FlowOutcome): void {
    const {picture, emit, clock} = this.#deps;
    const tried = triedHosts(slis);
    const {recoverDwellMs} = picture.policy.value.judge;
    for (const experiment of this.#fold.state.open?.experiments ?? []) {
      const {change, from, sinceMs, outcome} = experiment;
      const key = `${change}=${from} ${sinceMs}`;
      if (outcome !== null || this.#concluded.has(key)) continue;
      const found = outcomeOf(experiment, picture.fleet, verdicts, host => tried.has(host), recoverDwellMs, clock.now());
      if (found === null) continue;
      this.#concluded.add(key);
      const {blamed, cleared, hosts} = found;
      emit('experimentEnded', null, {change, from, hosts, blamed, cleared});
    }
  }

  async #store(): Promise<void> {
    const {bucket, clock} = this.#deps;
    const {state} = this.#fold;
    const nowMs = clock.now();
    const over = [...this.#fold.closed];
    // As of one moment: events come in while it is written.
    const value = structuredClone(state);
    const isQuiet = state.open === null && over.length === 0 && this.#stored.summary === null;
    const isNew = state.sequence > this.#stored.sequence || over.length > 0;
    if (this.#revision === null || !isNew || (isQuiet && nowMs - this.#stored.atMs < QUIET_STORE_MS)) return;
    for (const incident of over) await this.#keep(incident);
    const revision = this.#revision === 0 ? await bucket.create(STATE_KEY, value) : await bucket.update(STATE_KEY, value, this.#revision);
    this.#revision = revision;
    this.#fold.closed = this.#fold.closed.filter(incident => !over.includes(incident));
    this.#tell(over, value, nowMs);
  }

  async #prune(): Promise<void> {
    const {bucket, picture} = this.#deps;
    for (const {key, revision} of picture.incidents.beyond(KEEP_MAX)) await bucket.remove(key, revision);
  }

  /** One that is over does not change: whoever stored it before stored the same. */
  async #keep(incident: Incident): Promise<void> {
    try {
      await this.#deps.bucket.create(String(incident.id), incident);
    } catch (error) {
      if (!(error instanceof MailherdError) || error.code !== 'STORE_CONFLICT') throw error;
    }
  }

  #tell(over: readonly Incident[], {sequence, open}: IncidentState, nowMs: Instant): void {
    const {emit} = this.#deps;
    const before = this.#stored.summary;
    const summary = summaryOf(open, before?.incidentId === open?.id ? 'changed' : 'opened');
    this.#stored = {sequence, atMs: nowMs, summary};
    const closed = over.flatMap(incident => summaryOf(incident, 'closed') ?? []);
    const isChanged = summary !== null && (before === null || newsOf(before) !== newsOf(summary));
    for (const each of [...closed, ...(isChanged ? [summary] : [])]) {
      if (nowMs - (each.closedAtMs ?? each.onsetMs) < NEWS_MS || each.state === 'changed') emit('incidentChanged', null, each);
    }
  }
}

function keyOf({host, because}: {host: string | null; because: string}): string {
  return host ?? `/${because}`;
}

function newsOf({incidentId, cause, hosts}: Summary): string {
  return JSON.stringify([incidentId, cause, hosts]);
}

function summaryOf(incident: Incident | null, state: Summary['state']): Summary | null {
  if (incident === null) return null;
  const {id, onsetMs, closedAtMs, cause, hosts, usersHurt, peak, hurtMinutes} = incident;
  return {
    incidentId: id,
    state,
    onsetMs,
    closedAtMs,
    cause,
    hosts: [...hosts],
    usersHurt,
    usersHurtPeak: peak?.usersHurt ?? 0,
    hurtMinutes,
  };
}
