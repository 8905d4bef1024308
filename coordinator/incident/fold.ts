import {labels, percent} from '../../base/format.ts';
import {addTo} from '../../base/groups.ts';
import {type Instant, MINUTE_MS} from '../../base/units.ts';
import {AGENT_EVENTS, type EventData, type EventType, type FarmEvent} from '../../wire/event.ts';
import type {Incident, IncidentLine, IncidentState, Phase} from '../../wire/incident.ts';
import type {CohortVerdict, Decision, Hurt, Verdict} from '../../wire/record.ts';
import {circumstanceWords, decisionWords, experimentWish, experimentWords} from '../../wire/words.ts';

const TIMELINE_MAX = 200;
const HURT_MAX = 500;
/** Hosts that go to the same stage within this time are one line. */
const TOGETHER_MS = 5 * MINUTE_MS;
/** The timeline tells of customers hurt again when there are so many times more. */
const TOLD_RATIO = 1.25;
const GOOD_STAGES = new Set(['active', 'retired']);
const FIRST_EVIDENCE_MS = 30 * MINUTE_MS;
/** What comes again so soon after it was over is the same incident: a coordinator that starts anew judges from the beginning. */
const CALM_MS = 2 * MINUTE_MS;
/** So long after somebody took the lead, what is decided as before is not told again. */
const RETOLD_MS = MINUTE_MS;
/** Told by hosts, by their own clocks: time goes on by what coordinators tell. */
const OF_HOSTS: ReadonlySet<EventType> = new Set(AGENT_EVENTS);
/** Reasons of a host that nobody can judge, and that nothing is wrong with as far as is seen. */
const AT_REST = new Set(['IDLE', 'NO_SLI']);
/** What a person is called by for a host that says nothing. */
export const SILENT = 'SILENT';

export const NO_INCIDENTS: IncidentState = {
  v: 1,
  sequence: 0,
  open: null,
  ill: {},
  pages: [],
  calmSinceMs: null,
  suspected: {},
  hurt: null,
  toldHurt: 0,
  countedMs: null,
  ledSinceMs: null,
  decided: null,
};

/**
 * Folds the farm's events, in the order of the stream, into incidents; trouble that overlaps is one. What it knows is plain data: whoever
 * goes on from a stored state with the event after it comes to the same.
 */
export class IncidentFold {
  readonly state: IncidentState;
  /** Those that are over, until they are taken away. */
  closed: Incident[] = [];

  constructor(state: IncidentState = NO_INCIDENTS) {
    this.state = structuredClone(state);
  }

  take(sequence: number, event: FarmEvent): void {
    if (sequence <= this.state.sequence) return;
    if (!OF_HOSTS.has(event.type)) this.settle(event.atMs);
    this.state.sequence = sequence;
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
      case 'pageEnded':
        this.#pageEnded(event.atMs, event.host, event.data.because);
        break;
      case 'hurtChanged':
        this.#hurtChanged(event.data);
        break;
      case 'experimentEnded':
        this.#experimentEnded(event.atMs, event.data);
        break;
      case 'circumstanceBegan':
        this.#note(event.atMs, 'cause', circumstanceWords(event.data.circumstance));
        break;
      case 'leaderElected':
        this.state.ledSinceMs = event.atMs;
        this.#note(event.atMs, 'action', `${event.data.holder} leads`);
        break;
      default:
        this.#acted(event);
    }
  }

  /** What was done, by Mailherd or a person. */
  #acted(event: FarmEvent): void {
    const {atMs, host} = event;
    switch (event.type) {
      case 'hostStaged':
        if (host !== null) this.#staged(atMs, host, event.data);
        break;
      case 'planned':
        this.#note(atMs, 'action', `plan ${event.data.kind}: ${event.data.moves} mailboxes, ${event.data.unplaced} without a place`);
        break;
      case 'hostCordoned':
        this.#note(atMs, 'action', `${host} gets no new mailbox: ${event.data.reason} (${event.data.by})`);
        break;
      case 'hostUncordoned':
        this.#note(atMs, 'action', `${host} gets mailboxes again (${event.data.by})`);
        break;
      case 'queueRelieved':
        this.#relieved(atMs, host, event.data);
        break;
      case 'apiCalled':
        if (event.data.status < 300) this.#note(atMs, 'action', `${event.data.by}: ${event.data.method} ${event.data.path}`);
        break;
      case 'moveStepped':
        this.#moved(event.data.step, event.data.pauseMs);
        break;
      default:
    }
  }

  /** Lets time pass: what has been over for long enough is closed, as of when it was over. */
  settle(nowMs: Instant): void {
    this.#countHurt(nowMs);
    const {calmSinceMs} = this.state;
    if (calmSinceMs !== null && nowMs - calmSinceMs >= CALM_MS) this.#close(calmSinceMs);
  }

  #judged(sequence: number, atMs: Instant, verdict: Verdict): void {
    const {host, kind, because} = verdict;
    const {suspected, ill} = this.state;
    const isFirst = atMs - (suspected[host]?.atMs ?? 0) >= FIRST_EVIDENCE_MS;
    if (kind === 'suspect' && isFirst) suspected[host] = {atMs, what: worst(verdict)};
    if (kind === 'sick' && ill[host] !== 'sick') {
      const open = this.#openAt(sequence, atMs);
      const first = suspected[host];
      if (first !== undefined && atMs - first.atMs < FIRST_EVIDENCE_MS) {
        open.onsetMs = Math.min(open.onsetMs, first.atMs);
        this.#note(first.atMs, 'evidence', `first evidence on ${host}: ${first.what}`);
      }
      this.#fell(open, host, 'sick');
      this.#note(atMs, 'verdict', `${host} is sick (${because}): ${worst(verdict)}`);
    }
    if (kind === 'healthy' || (kind === 'unknown' && AT_REST.has(because))) {
      delete suspected[host];
      if (ill[host] !== undefined && this.#isHeld(host)) ill[host] = 'silent';
      else this.#recovered(atMs, host, kind === 'healthy' ? 'is well again' : 'is back, with nothing to judge it by');
    }
  }

  #explained(atMs: Instant, cohort: CohortVerdict): void {
    const {open} = this.state;
    if (open === null || !cohort.explained) return;
    const {sick, members, controls, controlsSick, alternatives = [], notHosts, experiment} = cohort;
    const cause = labels(cohort.labels);
    const others = alternatives.length === 0 ? '' : `, cannot be told from ${alternatives.map(labels).join(' or ')}`;
    const place = notHosts === undefined ? '' : `: the ${notHosts}, not the hosts`;
    const told = `${cause} explains ${sick.length} sick of ${members.length}, ${controlsSick} of ${controls.length + controlsSick} without it sick${others}${place}`;
    open.cause = cause;
    const isRetold = open.timeline.findLast(({phase}) => phase === 'cause')?.what === told;
    if (!isRetold) this.#note(atMs, 'cause', told);
    const from = experiment === undefined ? undefined : labelOf(experiment.change, [cohort.labels, ...alternatives]);
    if (experiment === undefined || from === undefined) return;
    const {change, hosts} = experiment;
    const known = open.experiments.find(each => each.outcome === null && labels(each.labels) === cause && each.change === change);
    if (known !== undefined) {
      // Who is on the way out first is changed first: whoever was ever named may be the one that comes back.
      known.hosts = [...new Set([...known.hosts, ...hosts])];
      return;
    }
    open.experiments.push({labels: cohort.labels, alternatives, change, from, hosts, sinceMs: atMs, outcome: null});
    this.#note(atMs, 'experiment', `to tell ${cause} from ${alternatives.map(labels).join(' and ')}: ${experimentWish({change, hosts})}`);
  }

  #experimentEnded(atMs: Instant, {change, from, hosts, blamed, cleared}: EventData<'experimentEnded'>): void {
    const {open} = this.state;
    const known = open?.experiments.find(each => each.outcome === null && each.change === change && each.from === from);
    if (open === null || known === undefined) return;
    known.outcome = {atMs, blamed, cleared, hosts};
    this.#note(atMs, 'experiment', `experiment: ${experimentWords(known)}`);
    const [first] = blamed;
    if (first !== undefined) open.cause = labels(first);
  }

  #decided(sequence: number, atMs: Instant, decision: Decision): void {
    const {kind, host, because} = decision;
    if (kind === 'watch') return;
    if (kind === 'page') {
      const open = this.#openAt(sequence, atMs);
      open.cause ??= because;
      if (host !== null) {
        this.#fell(open, host, this.state.ill[host] ?? 'silent');
        this.state.called = {...this.state.called, [host]: because};
      } else if (!this.state.pages.includes(because)) this.state.pages.push(because);
    }
    this.#noteDecision(atMs, decision);
  }

  /** A host that is heard of is not silent; what else a person was called for lasts until nobody is called any more. */
  #isHeld(host: string): boolean {
    const because = this.state.called?.[host];
    return because !== undefined && because !== SILENT;
  }

  #pageEnded(atMs: Instant, host: string | null, because: string): void {
    if (host !== null) {
      delete this.state.called?.[host];
      if (this.state.ill[host] === 'silent') this.#recovered(atMs, host, `is no longer ${because}`);
      return;
    }
    if (!this.state.pages.includes(because)) return;
    this.state.pages = this.state.pages.filter(code => code !== because);
    this.#note(atMs, 'recovery', `no longer ${because}`);
    this.#calm(atMs);
  }

  /** What is decided alike of many hosts at once is one line. */
  #noteDecision(atMs: Instant, decision: Decision): void {
    const {state} = this;
    const key = decisionWords(decision, ['*']);
    const hosts = decision.host === null ? [] : [decision.host];
    if (state.decided?.atMs !== atMs) state.decided = {atMs, rows: []};
    const known = state.decided.rows.find(row => row.key === key);
    if (known === undefined) {
      const what = `decided: ${decisionWords(decision)}`;
      const isRetold = state.ledSinceMs !== null && atMs - state.ledSinceMs < RETOLD_MS;
      if (isRetold && state.open?.timeline.some(line => line.what === what) === true) return;
      this.#note(atMs, 'decision', what);
      state.decided.rows.push({key, hosts});
      return;
    }
    const before = `decided: ${decisionWords(decision, known.hosts)}`;
    known.hosts.push(...hosts);
    const line = state.open?.timeline.findLast(each => each.atMs === atMs && each.what === before);
    if (line !== undefined) line.what = `decided: ${decisionWords(decision, known.hosts)}`;
  }

  #fell(open: Incident, host: string, how: 'sick' | 'silent'): void {
    if (!open.hosts.includes(host)) open.hosts.push(host);
    this.state.ill[host] = how;
    this.state.calmSinceMs = null;
  }

  #hurtChanged(hurt: Hurt): void {
    this.state.hurt = hurt;
    const {open} = this.state;
    if (open === null) return;
    this.#noteHurt(open, hurt.atMs, hurt);
    // A call for a person about no host in particular ends with the suffering.
    if (hurt.usersHurt > 0) return;
    this.state.pages = [];
    this.#calm(hurt.atMs);
  }

  /** The timeline tells when there are clearly more than were told last, and when there are none any more. */
  #noteHurt(open: Incident, atMs: Instant, hurt: Hurt): void {
    const {usersHurt, users, share} = hurt;
    open.usersHurt = usersHurt;
    if (open.peak === null || share > open.peak.share) open.peak = hurt;
    if (open.hurt.length < HURT_MAX && open.hurt.at(-1)?.usersHurt !== usersHurt) open.hurt.push({atMs, usersHurt});
    const {toldHurt} = this.state;
    if (usersHurt <= toldHurt * TOLD_RATIO && !(usersHurt === 0 && toldHurt > 0)) return;
    this.state.toldHurt = usersHurt;
    this.#note(
      atMs,
      'hurt',
      usersHurt === 0 ? 'no customer is hurt any more' : `${usersHurt} of ${users} customers are hurt (${percent(share)})`,
    );
  }

  #staged(atMs: Instant, host: string, {from, to, reason}: EventData<'hostStaged'>): void {
    if (this.state.open?.hosts.includes(host) !== true) return;
    this.#noteStage(atMs, host, `: ${from ?? 'new'} -> ${to} (${reason})`);
    if (GOOD_STAGES.has(to)) this.#recovered(atMs, host, `is ${to}`);
  }

  #noteStage(atMs: Instant, host: string, what: string): void {
    const before = this.state.open?.timeline.findLast(line => line.phase === 'action' && line.what.endsWith(what));
    if (before === undefined || atMs - before.atMs > TOGETHER_MS) this.#note(atMs, 'action', `${host}${what}`);
    else before.what = `${before.what.slice(0, -what.length)}, ${host}${what}`;
  }

  #relieved(atMs: Instant, host: string | null, {isOn, relay, queued}: EventData<'queueRelieved'>): void {
    const by = isOn && relay !== null ? ` by ${relay}` : '';
    const what = `${host}: its queue ${isOn ? 'is being relieved' : 'is no longer relieved'}${by}, ${queued ?? 'unknown'} messages wait`;
    this.#note(atMs, 'action', what);
  }

  #moved(step: string, pauseMs: number | null): void {
    const {open} = this.state;
    if (open === null || step !== 'retained') return;
    open.moved++;
    if (pauseMs !== null) open.longestPauseMs = Math.max(open.longestPauseMs ?? 0, pauseMs);
  }

  #recovered(atMs: Instant, host: string, what: string): void {
    if (this.state.ill[host] === undefined) return;
    delete this.state.ill[host];
    delete this.state.called?.[host];
    this.#note(atMs, 'recovery', `${host} ${what}`);
    this.#calm(atMs);
  }

  #calm(atMs: Instant): void {
    const {open, ill, pages} = this.state;
    if (open !== null && Object.keys(ill).length === 0 && pages.length === 0) this.state.calmSinceMs ??= atMs;
  }

  #openAt(sequence: number, atMs: Instant): Incident {
    const {state} = this;
    state.calmSinceMs = null;
    if (state.open !== null) return state.open;
    const opened: Incident = {
      v: 1,
      id: sequence,
      onsetMs: atMs,
      openedAtMs: atMs,
      closedAtMs: null,
      cause: null,
      hosts: [],
      usersHurt: 0,
      peak: null,
      hurt: [],
      hurtMinutes: 0,
      hurtMinutesByCause: {},
      moved: 0,
      longestPauseMs: null,
      experiments: [],
      timeline: [],
    };
    Object.assign(state, {open: opened, toldHurt: 0, countedMs: atMs, decided: null});
    if (state.hurt !== null) this.#noteHurt(opened, atMs, state.hurt);
    return opened;
  }

  #close(atMs: Instant): void {
    const {open} = this.state;
    if (open === null) return;
    if (open.moved > 0) this.#note(atMs, 'over', `${open.moved} mailboxes were moved`);
    this.#note(atMs, 'over', 'over');
    this.closed.push({...open, closedAtMs: atMs});
    Object.assign(this.state, {open: null, ill: {}, pages: [], called: {}, calmSinceMs: null, countedMs: null, decided: null});
  }

  /** From one event to the next as many are hurt as were told last; not while it may be over. */
  #countHurt(atMs: Instant): void {
    const {open, hurt, countedMs, calmSinceMs} = this.state;
    if (open === null || countedMs === null || atMs <= countedMs) return;
    this.state.countedMs = atMs;
    if (hurt === null || calmSinceMs !== null) return;
    const minutes = (atMs - countedMs) / MINUTE_MS;
    open.hurtMinutes += hurt.usersHurt * minutes;
    for (const [cause, users] of Object.entries(hurt.byCause ?? {})) {
      open.hurtMinutesByCause[cause] = (open.hurtMinutesByCause[cause] ?? 0) + users * minutes;
    }
  }

  #note(atMs: Instant, phase: Phase, what: string): void {
    const {open} = this.state;
    if (open === null) return;
    const after = open.timeline.findLastIndex(line => line.atMs <= atMs);
    open.timeline.splice(after + 1, 0, {atMs, phase, what});
    if (open.timeline.length > TIMELINE_MAX) leaveOut(open);
  }
}

/** What is told of most often loses a line from the middle: how it began and how it ended stays, and what is told of seldom. */
function leaveOut(incident: Incident): void {
  const {timeline, leftOut = {}} = incident;
  const byPhase = new Map<Phase, IncidentLine[]>();
  for (const line of timeline) addTo(byPhase, line.phase, line);
  const [most] = [...byPhase.values()].sort((a, b) => b.length - a.length);
  const line = most?.[Math.floor(most.length / 2)];
  if (line === undefined) return;
  timeline.splice(timeline.indexOf(line), 1);
  incident.leftOut = {...leftOut, [line.phase]: (leftOut[line.phase] ?? 0) + 1};
}

function labelOf(key: string, of: readonly Readonly<Record<string, string>>[]): string | undefined {
  return of.find(each => each[key] !== undefined)?.[key];
}

function worst({evidence: [first]}: Verdict): string {
  if (first === undefined) return 'no evidence any more';
  const ratio = first.ratio === null ? '' : `, ${first.ratio.toFixed(1)} times the others`;
  return `${first.sli} ${Number(first.value.toPrecision(3))} ${first.unit}${ratio}`;
}
