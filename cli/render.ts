import {count, countsOf, mostFirst} from '../base/counts.ts';
import {CODES} from '../base/errors.ts';
import {facts, few, instant, type Look, labels, percent, size, span, type Tone, table, tint} from '../base/format.ts';
import type {ErrorView, EvacuationView, HostView, MovesView, PlanView, ReliefView, UsersView, UserView, VerdictsView} from '../wire/api.ts';
import type {FarmEvent} from '../wire/event.ts';
import {type CohortVerdict, type Evidence, type Hurt, isSettled, type MoveRecord, type Plan, type VerdictKind} from '../wire/record.ts';
import type {HostReport} from '../wire/report.ts';
import {circumstanceTitle, circumstanceWords, decisionWords} from '../wire/words.ts';
import {capacityLine} from './capacity.ts';
import {told} from './why.ts';

const VERDICT_TONE: Record<VerdictKind, Tone> = {healthy: 'good', suspect: 'warn', sick: 'bad', silent: 'bad', unknown: 'dim'};

function verdictWord(kind: VerdictKind | null, look: Look): string {
  return kind === null ? '-' : tint(kind, VERDICT_TONE[kind], look);
}

const URGENCY: Record<VerdictKind, number> = {sick: 0, silent: 1, suspect: 2, unknown: 3, healthy: 4};

/** Sick ones first, then by name. */
function byUrgency<T extends {host: string; kind: VerdictKind | null}>(rows: readonly T[]): T[] {
  const rank = ({kind}: T): number => (kind === null ? URGENCY.unknown : URGENCY[kind]);
  return [...rows].sort((a, b) => rank(a) - rank(b) || (a.host < b.host ? -1 : 1));
}

/** Well, in service, and for new mailboxes. */
function isOrdinary({record, verdict}: HostView): boolean {
  return verdict?.kind === 'healthy' && record.stage === 'active' && record.cordon === null;
}

/** One line a host, the sick ones first, and their number below. @param onlyIll leaves out those of which there is nothing to say. */
export function renderHosts(hosts: readonly HostView[], onlyIll: boolean, look: Look): string {
  if (hosts.length === 0) return 'No host is registered yet.';
  const named = hosts.map(view => ({host: view.record.host, kind: view.verdict?.kind ?? null, view}));
  const shown = byUrgency(named).flatMap(({view}) => (onlyIll && isOrdinary(view) ? [] : [view]));
  const rows = shown.map(({record, verdict, users, bytes, movesIn, movesOut, reportAgeMs}) => [
    record.host,
    record.role,
    record.stage,
    verdictWord(verdict?.kind ?? null, look),
    record.labels.os ?? '-',
    String(users),
    size(bytes),
    String(movesIn),
    String(movesOut),
    span(reportAgeMs),
    record.cordon === null ? '' : `by ${record.cordon.by}`,
  ]);
  const lines = table(['HOST', 'ROLE', 'STAGE', 'VERDICT', 'RELEASE', 'USERS#', 'SIZE#', 'IN#', 'OUT#', 'REPORT#', 'CORDONED'], rows);
  const kinds = mostFirst(countsOf(named.map(({kind}) => kind ?? 'not judged')), times => times).map(([kind, times]) => `${times} ${kind}`);
  const cordoned = hosts.filter(({record}) => record.cordon !== null).length;
  const told = `${hosts.length} hosts: ${kinds.join(', ')}; ${cordoned} cordoned.`;
  return rows.length === 0 ? told : `${lines}\n${told}`;
}

/** Everything of one host, with evidence and history. */
export function renderHost({record, verdict, users, bytes, movesIn, movesOut, reportAgeMs, report}: HostView, look: Look): string {
  const {cordon, wipe} = record;
  const queue = report?.queue ?? null;
  const store = report?.mailStore ?? null;
  const head = facts([
    ['Host', record.host],
    ['Role', record.role],
    ['Address', record.address],
    ['Stage', `${record.stage} for ${span(look.nowMs - record.sinceMs)}`],
    [
      'Verdict',
      verdict === null ? '-' : `${verdictWord(verdict.kind, look)} (${verdict.because}) for ${span(look.nowMs - verdict.sinceMs)}`,
    ],
    ['Cordon', cordon === null ? '-' : `by ${cordon.by} since ${instant(cordon.atMs)}: ${cordon.reason}`],
    ['Labels', labels(record.labels)],
    ['Users', `${users}, ${size(bytes)}`],
    ['Moves', `${movesIn} in, ${movesOut} out`],
    ['Last report', reportAgeMs === null ? 'none' : `${span(reportAgeMs)} ago`],
    ['Agent', report === null ? '-' : agentLine(report.agent)],
    ['Queue', queue === null ? '-' : `${queue.active} active, ${queue.incoming} incoming, ${queue.deferred} deferred, ${queue.hold} held`],
    ['Mail store', store === null ? '-' : `${size(store.freeBytes)} free of ${size(store.totalBytes)}`],
    ['Wipe allowed', wipe === null ? 'no' : `until ${instant(wipe.expiresAtMs)}`],
    ['Reinstall', record.reinstallTo === null ? '-' : `${record.reinstallTo}, asked by ${record.reinstallAskedBy ?? 'nobody yet'}`],
  ]);
  const past = record.history.slice(-10).map(({stage, atMs, reason}) => [instant(atMs), stage, reason]);
  return [head, evidence(verdict?.evidence ?? []), table(['WHEN', 'STAGE', 'WHY'], past)].filter(part => part !== '').join('\n\n');
}

/** Its release, and what of its work fails. */
function agentLine({version, failing, spooled}: HostReport['agent']): string {
  const troubles = Object.entries(failing).map(([name, reason]) => `${name}: ${reason}`);
  const waits = spooled > 0 ? `, ${spooled} reports wait on its disk` : '';
  return `${version}${waits}${troubles.length === 0 ? '' : `; fails: ${few(troubles, NAMES_TOLD)}`}`;
}

function evidence(items: readonly Evidence[]): string {
  if (items.length === 0) return '';
  const figure = (value: number | null): string => (value === null ? '-' : String(Number(value.toPrecision(3))));
  const rows = items.map(({sli, unit, value, baseline, ratio, note}) => {
    return [
      sli,
      `${figure(value)} ${unit}`,
      baseline === null ? '-' : `${figure(baseline)} ${unit}`,
      ratio === null ? '-' : `x${figure(ratio)}`,
      note,
    ];
  });
  return table(['EVIDENCE', 'HERE#', 'PEERS#', 'RATIO#', 'NOTE'], rows);
}

export function renderUsers({users, next}: UsersView): string {
  if (users.length === 0) return 'No user.';
  const rows = users.map(({user, host, bytes, messages, moveId}) => [
    user,
    host,
    size(bytes),
    messages === null ? '-' : String(messages),
    moveId ?? '',
  ]);
  const text = table(['USER', 'HOST', 'SIZE#', 'MESSAGES#', 'MOVE'], rows);
  return next === null ? text : `${text}\nMore: --after ${next}`;
}

export function renderUser({user, host, generation, moveId, held, bytes, messages, deliveriesPerDay, sessionsPerDay}: UserView): string {
  return facts([
    ['User', user],
    ['Host', host],
    ['Generation', String(generation)],
    ['Size', messages === null ? size(bytes) : `${size(bytes)}, ${messages} messages`],
    [
      'Load',
      typeof deliveriesPerDay !== 'number' ? 'not known yet' : `${deliveriesPerDay} deliveries, ${sessionsPerDay ?? 0} logins a day`,
    ],
    ['Move', moveId === null ? '-' : `${moveId}${held ? ', held' : ''}`],
  ]);
}

/** Who is hurt, what explains it, and the verdict on each host that is not well, the sick ones first; on all hosts with `all`. */
export function renderVerdicts({verdicts, cohorts, hurt, hurtPeak, circumstances = []}: VerdictsView, all: boolean, look: Look): string {
  const head = facts([
    ['Customers hurt', hurtLine(hurt)],
    ['At peak', hurtPeak === null ? '-' : `${hurtLine(hurtPeak)} at ${instant(hurtPeak.atMs)}`],
    ...circumstances.map(each => [circumstanceTitle(each), tint(circumstanceWords(each), 'warn', look)] as const),
  ]);
  const shown = byUrgency(verdicts).filter(({kind}) => all || kind !== 'healthy');
  const rows = shown.map(({host, kind, because, sinceMs, evidence: seen}) => {
    // What users feel, the worst first; what goes along with it explains.
    const worst = seen.find(({explains}) => explains !== true) ?? seen[0];
    return [host, verdictWord(kind, look), span(look.nowMs - sinceMs), because, worst === undefined ? '' : told(worst)];
  });
  const well = verdicts.length - shown.length;
  const others = well === 0 ? [] : [`${well} hosts are healthy (--all lists them).`];
  const hosts = rows.length === 0 ? [] : [table(['HOST', 'VERDICT', 'FOR#', 'BECAUSE', 'WORST'], rows)];
  const list = verdicts.length === 0 ? ['No host is judged yet.'] : [...hosts, ...others];
  return [head, ...cohorts.map(cohort => renderCohort(cohort, look)), list.join('\n')].join('\n\n');
}

export function hurtLine(hurt: Hurt | null): string {
  if (hurt === null) return 'not known';
  const {share, usersHurt, users, domainsHurt, domains} = hurt;
  const ofDomains = domains === undefined ? '' : `; ${domainsHurt} of ${domains} domains`;
  return `${percent(share)} (${usersHurt} of ${users}${ofDomains})`;
}

/** A cohort may be the whole farm. */
const NAMES_TOLD = 6;

function renderCohort(cohort: CohortVerdict, look: Look): string {
  const {sick, members, controls, controlsSick, effect, chance, explained, confounded} = cohort;
  const verdict = explained ? tint('explains the sick hosts', 'bad', look) : 'does not explain the sick hosts';
  const head = facts([
    ['Cohort', `${labels(cohort.labels)} ${verdict}`],
    ['Sick', `${sick.length} of ${members.length} with it: ${few(sick, NAMES_TOLD)}`],
    ['Controls', `${controlsSick} of ${controls.length + controlsSick} without it sick: ${few(controls, NAMES_TOLD) || '-'}`],
    ['Effect', effect === null ? '-' : `x${effect.toFixed(1)}`],
    ['By chance', `p = ${Number(chance.toPrecision(2))}`],
    ...(confounded.length === 0 ? [] : [['Same division', confounded.join(', ')] as const]),
  ]);
  const seen = evidence(cohort.evidence);
  return seen === '' ? head : `${head}\n${seen}`;
}

/** A farm that is emptied has thousands of moves. */
export const LISTED = 20;

/** Running and waiting moves; finished ones, and every one that waits, only with `all`. */
export function renderMoves(view: MovesView, all: boolean, look: Look): string {
  const {moves, waiting, unlisted = {}, done, total, etaMs, evacuations = [], running = []} = view;
  const progress = new Map(running.map(own => [own.id, own]));
  const shown = moves.filter(move => all || !isSettled(move));
  const rows = shown.map(move => [
    move.id,
    move.user,
    move.source,
    move.target,
    size(move.bytes),
    tint(move.step, moveTone(move), look),
    span((isSettled(move) ? move.updatedAtMs : look.nowMs) - move.createdAtMs),
    ...renderProgress(progress.get(move.id), look),
    span(move.pauseMs),
    move.refusal === null ? '' : move.refusal.code,
  ]);
  const listed = all ? waiting : waiting.slice(0, LISTED);
  const waits = listed.map(({user, source, target, bytes, because, etaMs: ownMs}) => [
    '',
    user,
    source,
    target,
    size(bytes),
    'waiting',
    '',
    '',
    '',
    ownMs === undefined ? '' : span(ownMs),
    '',
    because,
  ]);
  const left = etaMs === null ? '' : `, about ${span(etaMs)} left`;
  const counts = countsOf(waiting.slice(listed.length).map(({because}) => because));
  for (const [because, times] of Object.entries(unlisted)) count(counts, because, times);
  const notListed = [...counts.values()].reduce((sum, times) => sum + times, 0);
  const summary = `${bar(done, total)}${done} of ${total} moves done, ${moves.filter(move => !isSettled(move)).length} running, ${waits.length + notListed} waiting${left}.`;
  const list = rows.length + waits.length === 0 ? [] : [table(MOVES_HEAD, [...rows, ...waits])];
  const reasons = mostFirst(counts, times => times);
  const more =
    reasons.length === 0 ? [] : [`and ${reasons.map(([because, times]) => `${times} ${because}`).join(', ')} (--all lists them)`];
  return [...list, ...more, ...renderEvacuations(evacuations), summary].join('\n');
}

const MOVES_HEAD = ['MOVE', 'USER', 'FROM', 'TO', 'SIZE#', 'STEP', 'AGE#', 'IN STEP#', 'DONE#', 'LEFT#', 'PAUSE#', 'WHY'];

/** Time in the present step, share done, time left. */
function renderProgress(own: NonNullable<MovesView['running']>[number] | undefined, {nowMs}: Look): string[] {
  if (own === undefined) return ['', '', ''];
  return [span(nowMs - own.sinceMs), own.share === null ? '-' : `${Math.floor(own.share * 100)} %`, span(own.etaMs)];
}

/** Of more hosts than this there is a table, those that take longest first. */
const EVACUATIONS_TOLD = 3;

function renderEvacuations(evacuations: readonly EvacuationView[]): string[] {
  if (evacuations.length <= EVACUATIONS_TOLD) return evacuations.map(renderEvacuation);
  const rows = [...evacuations]
    .sort((a, b) => (b.etaMs ?? Number.POSITIVE_INFINITY) - (a.etaMs ?? Number.POSITIVE_INFINITY) || b.left - a.left)
    .map(({host, isLow, paused, done, left, leftBytes, running, waiting, etaMs}) => [
      host,
      `${done} of ${done + left}`,
      size(leftBytes),
      String(running),
      String(waiting),
      span(etaMs),
      paused !== null ? `paused by ${paused.by}: ${paused.reason}` : isLow ? 'after everything else' : '',
    ]);
  return [table(['EMPTIED', 'LEFT IT#', 'TO GO#', 'RUNNING#', 'WAITING#', 'TIME LEFT#', ''], rows)];
}

function renderEvacuation({host, isLow, paused, done, left, leftBytes, running, waiting, etaMs}: EvacuationView): string {
  const stopped = paused === null ? '' : `; paused by ${paused.by} at ${instant(paused.atMs)}: ${paused.reason}`;
  const eta = etaMs === null ? '' : `, about ${span(etaMs)} left`;
  const gently = isLow ? ', after everything else' : '';
  const all = done + left;
  return `${bar(done, all)}${host} is being emptied${gently}: ${done} of ${all} mailboxes have left, ${size(leftBytes)} to go, ${running} running, ${waiting} waiting${eta}${stopped}.`;
}

function bar(done: number, total: number): string {
  return total === 0 ? '' : `[${'#'.repeat(Math.floor((done / total) * BAR_CHARS)).padEnd(BAR_CHARS, '.')}] `;
}

function moveTone(move: MoveRecord): Tone {
  if (move.step === 'backingOut' || move.step === 'backedOut') return 'warn';
  return isSettled(move) ? 'good' : 'plain';
}

/** True when nothing of it is left to do. */
export function areMovesOver({moves, waiting}: MovesView): boolean {
  return waiting.length === 0 && moves.every(move => isSettled(move));
}

/** Of a plan of thousands the first are listed: they are those that bring most relief. @param all every one. */
export function renderPlan({plan, dryRun, etaMs}: PlanView, all: boolean): string {
  const shown = plan.moves.slice(0, all ? undefined : LISTED);
  const rows = shown.map(({user, source, target, bytes, why}) => [user, source, target, size(bytes), why]);
  const total = plan.moves.reduce((sum, {bytes}) => sum + bytes, 0);
  const time =
    etaMs === undefined || plan.moves.length === 0
      ? ''
      : etaMs === null
        ? ', time not known before any move is through'
        : `, about ${span(etaMs)}`;
  const summary = `${dryRun ? 'Would move' : 'Will move'} ${plan.moves.length} mailboxes, ${size(total)}${time}${dryRun ? '. Nothing was changed.' : ` (plan ${plan.id}).`}`;
  const parts = rows.length === 0 ? [] : [table(['USER', 'FROM', 'TO', 'SIZE#', 'WHY'], rows)];
  return [...parts, ...unlisted(plan.moves.length - rows.length), ...renderUnplaced(plan, all), summary].join('\n');
}

function unlisted(more: number): string[] {
  return more === 0 ? [] : [`and ${more} more (--all lists them)`];
}

export function renderRelief({host, queued, elsewhere, outgoing}: ReliefView, isEnd: boolean): string {
  const waits = `${queued} messages wait: ${elsewhere} for users elsewhere, ${outgoing} for the outside.`;
  return `The queue of ${host} ${isEnd ? 'is no longer' : 'is being'} relieved. ${waits}`;
}

function renderUnplaced({unplaced}: Plan, all: boolean): string[] {
  if (unplaced.length === 0) return [];
  const rows = [...unplaced]
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, all ? undefined : LISTED)
    .map(({user, source, bytes, code}) => [user, source, size(bytes), code]);
  const total = unplaced.reduce((sum, {bytes}) => sum + bytes, 0);
  const head = `${unplaced.length} mailboxes, ${size(total)}, have no place:`;
  return [head, table(['USER', 'FROM', 'SIZE#', 'WHY'], rows), ...unlisted(unplaced.length - rows.length)];
}

const BAR_CHARS = 40;

/** Changes of the share of customers hurt that are listed: two hours of a day on which it changes every minute. */
const CHANGES_SHOWN = 120;
const HURT_HOSTS_TOLD = 3;

/** Share of customers hurt over time, with a bar against the peak; runs of equal shares are one line. @param all not the newest alone. */
export function renderHurt(history: readonly Hurt[], all: boolean): string {
  const peak = Math.max(0, ...history.map(({share}) => share));
  if (history.length === 0) return 'Nothing is known of customers hurt yet.';
  const changes = history.filter(({usersHurt, users}, index) => {
    const before = history[index - 1];
    return before === undefined || before.usersHurt !== usersHurt || before.users !== users;
  });
  const shown = changes.slice(all ? 0 : -CHANGES_SHOWN);
  const rows = shown.map(({atMs, share, usersHurt, users, byHost}) => [
    instant(atMs),
    percent(share),
    `${usersHurt}/${users}`,
    peak === 0 ? '' : '#'.repeat(Math.round((share / peak) * BAR_CHARS)),
    few(worstHosts(byHost), HURT_HOSTS_TOLD),
  ]);
  const earlier = changes.length - shown.length;
  const lines = table(['WHEN', 'HURT#', 'CUSTOMERS#', '', 'ON'], rows);
  return earlier === 0 ? lines : `${earlier} earlier changes (--all lists them)\n${lines}`;
}

/** Hosts with most customers hurt first. */
export function worstHosts(byHost: Hurt['byHost']): string[] {
  return mostFirst(Object.entries(byHost), hurt => hurt).map(([host]) => host);
}

/** One line an event. */
export function renderEvent(sequence: number, event: FarmEvent): string {
  const head = `${String(sequence).padStart(6)}  ${instant(event.atMs)}  ${(event.host ?? 'farm').padEnd(8)}  ${event.type.padEnd(14)}`;
  return `${head}  ${tell(event)}`.trimEnd();
}

function tell(event: FarmEvent): string {
  switch (event.type) {
    case 'verdictChanged':
      return `${event.data.from ?? 'new'} -> ${event.data.verdict.kind} (${event.data.verdict.because})`;
    case 'cohortJudged':
    case 'cohortCleared': {
      const {cohort} = event.data;
      return `${labels(cohort.labels)}: ${cohort.sick.length} of ${cohort.members.length} sick, ${cohort.controlsSick} of ${cohort.controls.length + cohort.controlsSick} controls`;
    }
    case 'hurtChanged':
      return hurtLine(event.data);
    case 'decided':
      return decisionWords(event.data.decision);
    case 'planned':
      return `${event.data.kind}: ${event.data.moves} moves, ${size(event.data.bytes)}, ${event.data.unplaced} without a place`;
    case 'hardwareDue':
      return capacityLine(event.data, {colour: false, nowMs: event.atMs});
    case 'hostStaged':
      return `${event.data.from ?? 'new'} -> ${event.data.to} after ${span(event.data.tookMs)}: ${event.data.reason}`;
    case 'moveStepped':
      return `${event.data.user} ${event.data.source} -> ${event.data.target}: ${event.data.step}${event.data.refusal === null ? '' : ` (${event.data.refusal.code})`}`;
    default:
      return Object.entries(event.data)
        .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
        .join(' ');
  }
}

/** What the code's `next` asks of the reader. */
const ADVICE: Record<string, string> = {
  fix: 'Change the request.',
  retry: 'Try again shortly.',
  replan: 'Look at the farm as it is now and plan again.',
  stop: 'Do not try again.',
  page: 'Look at the log of the coordinator.',
};

/** Where the code alone tells more than its `next`. */
const ADVICE_OF: Partial<Record<string, string>> = {PAUSED: 'Go on with: mailherd resume'};

/** One line: code, what it means with details, what to do next. */
export function renderError({error, next, message}: ErrorView): string {
  const text = message.startsWith(`${error.code}: `) ? message.slice(error.code.length + 2) : message;
  const known = Object.hasOwn(CODES, error.code);
  return `mailherd: ${error.code}: ${text}. ${ADVICE_OF[error.code] ?? ADVICE[next] ?? ''}${known ? '' : ' (This coordinator is newer than this command.)'}`.trim();
}
