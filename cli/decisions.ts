import {few, type Look, table, tint} from '../base/format.ts';
import {addTo} from '../base/groups.ts';
import type {VerdictsView} from '../wire/api.ts';
import type {Decision} from '../wire/record.ts';
import {BY_HAND, vetoWords} from '../wire/words.ts';

const HOSTS_TOLD = 4;

/** What was decided alike, with all hosts it was decided for; none for what concerns the whole farm. */
export interface Alike {
  first: Decision;
  hosts: string[];
}

/** Decisions of the same kind, for the same reason, with the same brakes: the figures of these may differ from host to host. */
export function alike(decisions: readonly Decision[]): Alike[] {
  const groups = new Map<string, Decision[]>();
  for (const each of decisions) {
    addTo(groups, JSON.stringify([each.kind, each.because, each.mode, each.vetoes.map(({code}) => code)]), each);
  }
  return [...groups.values()].flatMap(group => {
    const [first] = group;
    return first === undefined ? [] : [{first, hosts: group.flatMap(({host}) => host ?? [])}];
  });
}

/** What the last round decided, the stopped ones with their brakes; hosts for which the same was decided in one line. */
export function renderDecisions({decisions = [], verdicts}: VerdictsView, isAll: boolean, look: Look): string {
  const groups = alike(decisions);
  const ill = verdicts.filter(({kind}) => kind !== 'healthy' && kind !== 'unknown').length;
  if (groups.length === 0 && ill > 0)
    return `Nothing is decided, though ${ill} hosts are not well (mailherd verdicts): see the modes of mailherd policy.`;
  if (groups.length === 0) return 'Nothing is decided: the farm needs nothing.';
  const rows = groups.map(({first, hosts}) => [
    first.kind,
    hosts.length > 1 ? String(hosts.length) : '',
    first.because,
    hosts.length === 0 ? 'the farm' : isAll ? hosts.join(' ') : few(hosts, HOSTS_TOLD),
    decisionState(first, hosts.length, look),
  ]);
  const isAsked = groups.some(({first}) => isProposed(first));
  const hint = isAsked ? '\nTo let a proposal be carried out: mailherd approve KIND [HOST|LABEL=VALUE...]' : '';
  return `${table(['KIND', 'HOSTS#', 'BECAUSE', 'FOR', 'STATE'], rows)}${hint}`;
}

/** It waits for a person's word and for nothing else. */
export function isProposed({mode, vetoes}: Decision): boolean {
  return mode === 'approve' && vetoes.length === 0;
}

/** @param hosts for which it was decided alike; of several the brakes' figures are those of the first. */
export function decisionState({kind, because, mode, vetoes, evidence}: Decision, hosts: number, look: Look): string {
  const of = hosts > 1 ? ' (figures of the first)' : '';
  if (vetoes.length > 0) return tint(`stopped by ${vetoes.map(vetoWords).join('; ')}${of}`, 'warn', look);
  if (kind === 'watch') return 'shown only';
  const what = because.startsWith(BY_HAND) ? `: ${evidence[0]?.note}` : '';
  if (kind === 'page' && mode === 'on') return tint(`a person is needed${what}`, 'bad', look);
  if (mode === 'approve') return tint('waits for approval', 'warn', look);
  return mode === 'on' ? 'carried out' : 'dry run: nothing is done';
}
