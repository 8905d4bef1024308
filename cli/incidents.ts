import {instant, labels, percent, span, table} from '../base/format.ts';
import type {EventData, FarmEvent} from '../wire/event.ts';
import type {CohortVerdict, Decision, Hurt, Verdict} from '../wire/record.ts';
import {decisionWords} from './veto-words.ts';

/** One time of trouble, told from the farm's own events: from the first evidence until every host of it is well or gone. */
export interface Incident {
  /** Sequence of the event that opened it. */
  id: number;
  /** When the first of its hosts began to look bad. */
  onsetMs: number;
  openedAtMs: number;
  /** null while it lasts. */
  closedAtMs: number | null;
  /** What explains it, or the code for which a person was called. */
  cause: string | null;
  hosts: string[];
  peak: Hurt | null;
  /** Minutes that customers were hurt, summed over customers; by cause as far as it was known. */
  hurtMinutes: number;
  hurtMinutesByCause: Record<string, number>;
  moved: number;
  longestPauseMs: number | null;
  timeline: {atMs: number; what: string}[];
}

const TIMELINE_MAX = 200;
/** The timeline tells of customers hurt again when there are so many times more. */
const TOLD_RATIO = 1.25;
const GOOD_STAGES = new Set(['active', 'retired']);
const FIRST_EVIDENCE_MS = 30 * 60_000;

/** Folds events, oldest first, into incidents. Trouble that overlaps is one incident. */
export class Incidents {
  readonly all: Incident[] = [];
  #open: Incident | null = null;
  /** Hosts of the open incident that are not well yet. */
  readonly #ill = new Set<string>();
  readonly #suspected = new Map<string, {atMs: number; verdict: Verdict}>();
  /** Of the open incident, by time and words. */
  #decisions: Map<string, {hosts: string[]; line: {what: string}}> | null = null;
  /** Customers hurt as the timeline told last. */
  #toldHurt = 0;
  #hurt: Hurt | null = null;
  #lastMs: number | null = null;

  take(sequence: number, event: FarmEvent): void {
    this.#countHurt(event.atMs);
    switch (event.type) {
      case 'verdictChanged':
        this.#judged(sequence, event.atMs, event.data.verdict);
        break;
      case 'cohortJudged':
        this.#explained(event.atMs, event.data.cohort);
        break;
      case 'decided':
        this.#decided(sequence, event.atMs, event.data.decision);
        break;
      case 'hurtChanged':
        this.#hurtChanged(event.data);
        break;
      case 'hostStaged':
        if (event.host !== null) this.#staged(event.atMs, event.host, event.data);
        break;
      case 'planned':
        this.#note(event.atMs, `plan ${event.data.kind}: ${event.data.moves} mailboxes, ${event.data.unplaced} without a place`);
        break;
      case 'hostCordoned':
        this.#note(event.atMs, `${event.host} gets no new mailbox: ${event.data.reason} (${event.data.by})`);
        break;
      case 'hostUncordoned':
        this.#note(event.atMs, `${event.host} gets mailboxes again (${event.data.by})`);
        break;
      case 'queueRelieved':
        this.#relieved(event.atMs, event.host, event.data);
        break;
      case 'apiCalled':
        if (event.data.status < 300) this.#note(event.atMs, `${event.data.by}: ${event.data.method} ${event.data.path}`);
        break;
      case 'moveStepped':
        this.#moved(event.data.step, event.data.pauseMs);
        break;
      default:
    }
  }

  #judged(sequence: number, atMs: number, verdict: Verdict): void {
    const {host, kind, because} = verdict;
    if (kind === 'suspect') this.#suspected.set(host, {atMs, verdict});
    if (kind === 'sick') {
      const open = this.#openAt(sequence, atMs);
      const first = this.#suspected.get(host);
      if (first !== undefined && atMs - first.atMs < FIRST_EVIDENCE_MS) {
        open.onsetMs = Math.min(open.onsetMs, first.atMs);
        this.#note(first.atMs, `first evidence on ${host}: ${worst(first.verdict)}`);
      }
      this.#fell(open, host);
      this.#note(atMs, `${host} is sick (${because}): ${worst(verdict)}`);
    }
    if (kind === 'healthy') {
      this.#suspected.delete(host);
      this.#recovered(atMs, host, 'is well again');
    }
  }

  #explained(atMs: number, cohort: CohortVerdict): void {
    if (this.#open === null || !cohort.explained) return;
    const {sick, members, controls, controlsSick, alternatives = []} = cohort;
    const cause = labels(cohort.labels);
    const others = alternatives.length === 0 ? '' : `, cannot be told from ${alternatives.map(labels).join(' or ')}`;
    const told = `${cause} explains ${sick.length} sick of ${members.length}, ${controlsSick} of ${controls.length + controlsSick} without it sick${others}`;
    this.#open.cause = cause;
    this.#note(atMs, told);
  }

  #decided(sequence: number, atMs: number, decision: Decision): void {
    const {kind, host, because} = decision;
    if (kind === 'watch') return;
    if (kind === 'page') {
      const open = this.#openAt(sequence, atMs);
      open.cause ??= because;
      if (host !== null) this.#fell(open, host);
    }
    this.#noteDecision(atMs, decision);
  }

  /** What is decided alike of many hosts at once is one line. */
  #noteDecision(atMs: number, decision: Decision): void {
    const key = `${atMs} ${decisionWords(decision, ['*'])}`;
    const hosts = decision.host === null ? [] : [decision.host];
    const known = this.#decisions?.get(key);
    if (known === undefined) {
      const line = this.#note(atMs, `decided: ${decisionWords(decision)}`);
      if (line !== null) this.#decisions?.set(key, {hosts, line});
      return;
    }
    known.hosts.push(...hosts);
    known.line.what = `decided: ${decisionWords(decision, known.hosts)}`;
  }

  #fell(open: Incident, host: string): void {
    if (!open.hosts.includes(host)) open.hosts.push(host);
    this.#ill.add(host);
  }

  #hurtChanged(hurt: Hurt): void {
    this.#hurt = hurt;
    const open = this.#open;
    if (open === null) return;
    this.#noteHurt(hurt.atMs, hurt);
    if (open.peak === null || hurt.share > open.peak.share) open.peak = hurt;
    // A call for a person about no host in particular ends with the suffering.
    if (hurt.usersHurt === 0 && this.#ill.size === 0) this.#close(hurt.atMs);
  }

  /** When there are clearly more than were told last, and when there are none any more. */
  #noteHurt(atMs: number, {usersHurt, users, share}: Hurt): void {
    const isMore = usersHurt > this.#toldHurt * TOLD_RATIO;
    if (!isMore && !(usersHurt === 0 && this.#toldHurt > 0)) return;
    this.#toldHurt = usersHurt;
    this.#note(atMs, usersHurt === 0 ? 'no customer is hurt any more' : `${usersHurt} of ${users} customers are hurt (${percent(share)})`);
  }

  #staged(atMs: number, host: string, {from, to, reason}: {from: string | null; to: string; reason: string}): void {
    if (this.#open?.hosts.includes(host) !== true) return;
    this.#note(atMs, `${host}: ${from ?? 'new'} -> ${to} (${reason})`);
    if (GOOD_STAGES.has(to)) this.#recovered(atMs, host, `is ${to}`);
  }

  #relieved(atMs: number, host: string | null, {isOn, relay, queued}: EventData<'queueRelieved'>): void {
    const by = isOn && relay !== null ? ` by ${relay}` : '';
    this.#note(
      atMs,
      `${host}: its queue ${isOn ? 'is being relieved' : 'is no longer relieved'}${by}, ${queued ?? 'unknown'} messages wait`,
    );
  }

  #moved(step: string, pauseMs: number | null): void {
    const open = this.#open;
    if (open === null || step !== 'retained') return;
    open.moved++;
    if (pauseMs !== null) open.longestPauseMs = Math.max(open.longestPauseMs ?? 0, pauseMs);
  }

  #recovered(atMs: number, host: string, what: string): void {
    if (this.#open === null || !this.#ill.delete(host)) return;
    this.#note(atMs, `${host} ${what}`);
    if (this.#ill.size === 0) this.#close(atMs);
  }

  #openAt(sequence: number, atMs: number): Incident {
    if (this.#open !== null) return this.#open;
    const opened: Incident = {
      id: sequence,
      onsetMs: atMs,
      openedAtMs: atMs,
      closedAtMs: null,
      cause: null,
      hosts: [],
      peak: this.#hurt,
      hurtMinutes: 0,
      hurtMinutesByCause: {},
      moved: 0,
      longestPauseMs: null,
      timeline: [],
    };
    this.#open = opened;
    this.#decisions = new Map();
    this.#toldHurt = 0;
    if (this.#hurt !== null) this.#noteHurt(atMs, this.#hurt);
    this.#lastMs = atMs;
    this.all.push(opened);
    return opened;
  }

  #close(atMs: number): void {
    if (this.#open === null) return;
    if (this.#open.moved > 0) this.#note(atMs, `${this.#open.moved} mailboxes were moved`);
    this.#note(atMs, 'over');
    this.#open.closedAtMs = atMs;
    this.#open = null;
    this.#lastMs = null;
  }

  /** From one event to the next as many are hurt as were told last. */
  #countHurt(atMs: number): void {
    const open = this.#open;
    const hurt = this.#hurt;
    if (open !== null && hurt !== null && this.#lastMs !== null && atMs > this.#lastMs) {
      const minutes = (atMs - this.#lastMs) / 60_000;
      open.hurtMinutes += hurt.usersHurt * minutes;
      for (const [cause, users] of Object.entries(hurt.byCause ?? {})) {
        open.hurtMinutesByCause[cause] = (open.hurtMinutesByCause[cause] ?? 0) + users * minutes;
      }
    }
    if (open !== null) this.#lastMs = Math.max(this.#lastMs ?? 0, atMs);
  }

  #note(atMs: number, what: string): {what: string} | null {
    const {timeline} = this.#open ?? {timeline: []};
    if (timeline.length >= TIMELINE_MAX) return null;
    const after = timeline.findLastIndex(line => line.atMs <= atMs);
    const line = {atMs, what};
    timeline.splice(after + 1, 0, line);
    return line;
  }
}

function worst({evidence: [first]}: Verdict): string {
  if (first === undefined) return 'no evidence any more';
  const ratio = first.ratio === null ? '' : `, ${first.ratio.toFixed(1)} times the others`;
  return `${first.sli} ${Number(first.value.toPrecision(3))} ${first.unit}${ratio}`;
}

/** One line an incident, newest last. */
export function renderIncidents(incidents: readonly Incident[], nowMs: number): string {
  if (incidents.length === 0) return 'No incident in the events that are kept.';
  const rows = incidents.map(({id, onsetMs, closedAtMs, cause, hosts, peak, hurtMinutes}) => [
    String(id),
    instant(onsetMs),
    closedAtMs === null ? `${span(nowMs - onsetMs)}, lasts` : span(closedAtMs - onsetMs),
    cause ?? 'not explained',
    String(hosts.length),
    peak === null ? '-' : percent(peak.share),
    String(Math.round(hurtMinutes)),
  ]);
  return table(['ID#', 'ONSET', 'TOOK#', 'CAUSE', 'HOSTS#', 'HURT AT PEAK#', 'CUSTOMER MINUTES#'], rows);
}

/** The report of one incident, for the apology one would rather not write. */
export function incidentMarkdown(incident: Incident): string {
  const {id, onsetMs, openedAtMs, closedAtMs, cause, hosts, peak, hurtMinutes, hurtMinutesByCause, moved, longestPauseMs, timeline} =
    incident;
  const byCause = Object.entries(hurtMinutesByCause).map(([name, minutes]) => `${name} ${Math.round(minutes)}`);
  const facts = [
    ['Began', instant(onsetMs)],
    ['Seen', `${instant(openedAtMs)}, ${span(openedAtMs - onsetMs)} later`],
    ['Over', closedAtMs === null ? 'not yet' : `${instant(closedAtMs)}, after ${span(closedAtMs - onsetMs)}`],
    ['Cause', cause ?? 'not explained'],
    ['Hosts', hosts.length === 0 ? 'none in particular' : hosts.join(', ')],
    ['Customers hurt at peak', peak === null ? 'not known' : `${percent(peak.share)} (${peak.usersHurt} of ${peak.users})`],
    ['Customer minutes', `${Math.round(hurtMinutes)}${byCause.length === 0 ? '' : ` (${byCause.join(', ')})`}`],
    ['Mailboxes moved', `${moved}${longestPauseMs === null ? '' : `, longest pause ${span(longestPauseMs)}`}`],
  ];
  const lines = timeline.map(({atMs, what}) => `- ${instant(atMs)} ${what}`);
  return [`# Incident ${id}`, '', ...facts.map(([name, value]) => `- **${name}**: ${value}`), '', '## Timeline', '', ...lines].join('\n');
}
