import {countsOf, mostFirst} from '../base/counts.ts';
import {facts, few, instant, type Look, labels, percent, span, tint} from '../base/format.ts';
import {MINUTE_MS} from '../base/units.ts';
import type {FarmView, VerdictsView} from '../wire/api.ts';
import type {CohortVerdict} from '../wire/record.ts';
import {circumstanceTitle, circumstanceWords} from '../wire/words.ts';
import {capacityLine} from './capacity.ts';
import {type Alike, alike, decisionState, isProposed} from './decisions.ts';
import {hurtLine, worstHosts} from './render.ts';

/** Hosts, and lines of a kind: what is longer has a command of its own. */
const NAMES = 3;
const LINES = 6;

export interface Status {
  farm: FarmView;
  verdicts: VerdictsView;
}

type Row = readonly [string, string];

/** The farm on one page: what is wrong, since when, who is hurt, what is done about it, what waits for whom, and where to look on. */
export function renderStatus({farm, verdicts}: Status, look: Look): string {
  const {cohorts, circumstances = [], decisions = []} = verdicts;
  const groups = alike(decisions.filter(({kind}) => kind !== 'watch'));
  const rows: Row[] = [
    ...coordination(farm, look),
    ['Farm', farmLine(farm)],
    ...agentRows(farm),
    ...hurtRows(verdicts),
    ...incidentRows(farm, look),
    ...cohorts.filter(({explained}) => explained).map((cohort): Row => ['Cause', causeLine(cohort)]),
    ...circumstances.slice(0, LINES).map((each): Row => [circumstanceTitle(each), circumstanceWords(each)]),
    ...decided('For a person', groups, look, ({first}) => first.kind === 'page'),
    ...decided('To approve', groups, look, ({first}) => isProposed(first)),
    ...decided('Stopped', groups, look, ({first}) => first.vetoes.length > 0),
    ...decided('Carried out', groups, look, ({first}) => first.mode === 'on' && first.vetoes.length === 0 && first.kind !== 'page'),
    ...movesRows(farm),
    ...byHand(farm),
    ...(farm.forecast === undefined || farm.forecast === null ? [] : [['Hardware', capacityLine(farm.forecast, look)] as const]),
  ];
  return `${facts(rows)}\n\n${nextSteps(farm, verdicts, groups)}`;
}

/** Who leads, and all that makes the rest of the page old or without effect. */
function coordination(
  {leader, answeredBy, paused, newestReportAgeMs = null, failing = null, clockBehindMs = null, nowMs}: FarmView,
  look: Look,
): Row[] {
  const rows: Row[] = [];
  if (leader === null)
    rows.push(['Leader', tint('nobody leads: nothing is decided or moved; NATS, or all coordinators but this', 'bad', look)]);
  else rows.push(['Leader', leader === answeredBy ? leader : `${leader}; answered by ${answeredBy}, which knows nothing of what waits`]);
  if (newestReportAgeMs !== null && newestReportAgeMs > MINUTE_MS)
    rows.push([
      'Reports',
      tint(
        `none from any host for ${span(newestReportAgeMs)}: NATS, the way there, or the clock of ${answeredBy}; what follows is old`,
        'bad',
        look,
      ),
    ]);
  if (clockBehindMs !== null)
    rows.push([
      'Clock',
      tint(`that of ${answeredBy} is ${span(clockBehindMs)} behind that of NATS: silent hosts are noticed late`, 'bad', look),
    ]);
  if (failing !== null)
    rows.push([
      'Failing',
      tint(`nothing is carried out for ${span(Math.max(0, nowMs - failing.sinceMs))}: ${failing.reason}`, 'bad', look),
    ]);
  if (paused !== null)
    rows.push([
      'Paused',
      tint(`by ${paused.by} for ${span(Math.max(0, nowMs - paused.atMs))}: ${paused.reason} (mailherd resume)`, 'warn', look),
    ]);
  return rows;
}

function farmLine({hosts, users, verdicts = {}, stages = {}}: FarmView): string {
  const told = (counts: Record<string, number>): string =>
    mostFirst(Object.entries(counts), times => times)
      .map(([name, times]) => `${times} ${name}`)
      .join(', ');
  return [`${hosts} hosts`, told(verdicts), told(stages), `${users} users`].filter(part => part !== '').join('; ');
}

/** Told while an upgrade is under way. */
function agentRows({agents = {}}: FarmView): Row[] {
  const versions = mostFirst(Object.entries(agents), times => times).map(([version, times]) => `${times} of ${version}`);
  return versions.length < 2 ? [] : [['Agents', few(versions, LINES)]];
}

function hurtRows({hurt, hurtPeak}: VerdictsView): Row[] {
  const most = hurt === null || hurt.usersHurt === 0 ? '' : `; most on ${few(worstHosts(hurt.byHost), NAMES)}`;
  const peak: Row[] =
    hurtPeak === null || hurtPeak.usersHurt === 0 ? [] : [['At peak', `${hurtLine(hurtPeak)} at ${instant(hurtPeak.atMs)}`]];
  const causes = mostFirst(Object.entries(hurt?.byCause ?? {}), users => users).map(([cause, users]) => `${users} by ${cause}`);
  return [
    ['Customers hurt', `${hurtLine(hurt)}${most}`],
    ...(causes.length < 2 ? [] : [['Of these', few(causes, NAMES)] as const]),
    ...peak,
  ];
}

function incidentRows({incident = null}: FarmView, look: Look): Row[] {
  if (incident === null) return [];
  const {id, onsetMs, cause, hosts} = incident;
  const line = `${id}, since ${instant(onsetMs)} (${span(Math.max(0, look.nowMs - onsetMs))}): ${cause ?? 'not explained'}, ${hosts.length} hosts`;
  return [['Incident', tint(line, 'bad', look)]];
}

function causeLine({labels: own, sick, members, controls, controlsSick, alternatives = []}: CohortVerdict): string {
  const others = alternatives.length === 0 ? '' : `; cannot be told from ${few(alternatives.map(labels), NAMES)}`;
  return `${labels(own)}: ${sick.length} of ${members.length} with it sick, ${controlsSick} of ${controls.length + controlsSick} without it${others}`;
}

function decided(name: string, groups: readonly Alike[], look: Look, of: (group: Alike) => boolean): Row[] {
  const found = groups.filter(of);
  const rows = found.slice(0, LINES).map(({first, hosts}): Row => {
    const where = hosts.length === 0 ? 'the farm' : hosts.length > NAMES ? `${hosts.length} hosts: ${few(hosts, NAMES)}` : hosts.join(', ');
    const brakes = first.vetoes.length === 0 ? '' : `; ${decisionState(first, hosts.length, look)}`;
    return [name, `${first.kind === 'page' ? '' : `${first.kind} `}${first.because} (${where})${brakes}`];
  });
  return found.length > LINES ? [...rows, [name, `and ${found.length - LINES} more: mailherd decisions`]] : rows;
}

function movesRows({moves, emptied}: FarmView): Row[] {
  if (moves === undefined || moves.total === 0) return [];
  const {running, waiting, done, total, etaMs} = moves;
  const left = etaMs === null ? '' : `, about ${span(etaMs)} left`;
  const share = percent(done / total);
  const line = `${done} of ${total} done (${share}), ${running} running, ${waiting ?? 'not known how many'} waiting${left}`;
  const paused = emptied === undefined || emptied.paused.length === 0 ? '' : `, of ${few(emptied.paused, NAMES)} paused`;
  return [
    ['Moves', line],
    ...(emptied === undefined || emptied.hosts === 0 ? [] : [['Emptied', `${emptied.hosts} hosts${paused}`] as const]),
  ];
}

/** Who cordoned how many, and why: a farm may lack room for that alone. */
function byHand({cordoned = []}: FarmView): Row[] {
  const groups = mostFirst(countsOf(cordoned.map(({by, reason}) => `by ${by}: ${reason}`)), times => times);
  const rows = groups.slice(0, LINES).map(([who, times]): Row => {
    const hosts = cordoned.filter(({by, reason}) => `by ${by}: ${reason}` === who).map(({host}) => host);
    return ['Cordoned', `${times} ${who} (${few(hosts, NAMES)})`];
  });
  return groups.length > LINES ? [...rows, ['Cordoned', `and ${groups.length - LINES} more reasons: mailherd hosts --ill`]] : rows;
}

function nextSteps({incident, paused, moves, emptied}: FarmView, {cohorts, hurt}: VerdictsView, groups: readonly Alike[]): string {
  const cause = cohorts.find(({explained}) => explained);
  const [asked] = groups.filter(({first}) => isProposed(first));
  const isMoving = (moves?.running ?? 0) + (moves?.waiting ?? 0) > 0;
  const steps: (Row | false)[] = [
    cause !== undefined && ['why', `mailherd why ${Object.entries(cause.labels).map(([key, value]) => `${key}=${value}`)[0]}`],
    asked !== undefined && [
      'let it be done',
      `mailherd approve ${asked.first.kind}${asked.hosts.length === 0 ? '' : ` HOST|LABEL=VALUE...`}`,
    ],
    isMoving && ['how far', 'mailherd moves'],
    (emptied?.hosts ?? 0) > 0 && ['stop one, keep one', 'mailherd pause HOST, mailherd cancel --evacuation HOST'],
    paused === null && ['stop all', 'mailherd pause --reason TEXT'],
    (moves?.done ?? 0) > 0 && ['undo', 'mailherd reverse MOVE... while copies are kept'],
    (hurt?.usersHurt ?? 0) > 0 && ['whom to tell', `mailherd users --host ${worstHosts(hurt?.byHost ?? {})[0]}`],
    incident !== null && incident !== undefined && ['what to tell', `mailherd incidents ${incident.id}`],
    ['is there room', 'mailherd plan'],
  ];
  return facts(steps.filter(step => step !== false));
}
