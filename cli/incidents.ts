import {instant, percent, span, table} from '../base/format.ts';
import type {IncidentsView} from '../wire/api.ts';
import type {Incident} from '../wire/incident.ts';

const PER_LINE = 8;

/** One line an incident, newest last. */
export function renderIncidents({incidents}: IncidentsView, nowMs: number): string {
  if (incidents.length === 0) return 'No incident.';
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
  const {id, onsetMs, openedAtMs, closedAtMs, cause, hosts, peak, usersHurt, hurtMinutes, hurtMinutesByCause} = incident;
  const {moved, longestPauseMs, timeline, leftOut = {}} = incident;
  const byCause = Object.entries(hurtMinutesByCause).map(([name, minutes]) => `${name} ${Math.round(minutes)}`);
  const domains = peak?.domainsHurt === undefined ? '' : `, in ${peak.domainsHurt} of ${peak.domains ?? '?'} domains`;
  const facts = [
    ['Began', instant(onsetMs)],
    ['Seen', `${instant(openedAtMs)}, ${span(openedAtMs - onsetMs)} later`],
    ['Over', closedAtMs === null ? 'not yet' : `${instant(closedAtMs)}, after ${span(closedAtMs - onsetMs)}`],
    ['Cause', cause ?? 'not explained'],
    ['Hosts', hosts.length === 0 ? 'none in particular' : hosts.join(', ')],
    ['Customers hurt at peak', peak === null ? 'not known' : `${percent(peak.share)} (${peak.usersHurt} of ${peak.users})${domains}`],
    ...(closedAtMs === null ? [['Customers hurt now', String(usersHurt)]] : []),
    ['Customer minutes', `${Math.round(hurtMinutes)}${byCause.length === 0 ? '' : ` (${byCause.join(', ')})`}`],
    ['Mailboxes moved', `${moved}${longestPauseMs === null ? '' : `, longest pause ${span(longestPauseMs)}`}`],
  ];
  const missing = Object.entries(leftOut).map(([phase, count]) => `${count} of ${phase}`);
  const lines = [
    ...timeline.map(({atMs, what}) => `- ${instant(atMs)} ${what}`),
    ...(missing.length === 0 ? [] : [`- There was no room for lines in between: ${missing.join(', ')}`]),
  ];
  return [
    `# Incident ${id}`,
    '',
    ...facts.map(([name, value]) => `- **${name}**: ${value}`),
    '',
    '## Timeline',
    '',
    ...lines,
    ...overTime(incident),
  ].join('\n');
}

/** Customers hurt as often as that changed, some to a line. */
function overTime({hurt}: Incident): string[] {
  if (hurt.length === 0) return [];
  const told = hurt.map(({atMs, usersHurt}) => `${instant(atMs).slice(11, 19)} ${usersHurt}`);
  const lines = Array.from({length: Math.ceil(told.length / PER_LINE)}, (_, index) => {
    return told.slice(index * PER_LINE, (index + 1) * PER_LINE).join(', ');
  });
  return ['', '## Customers hurt over time', '', ...lines];
}
