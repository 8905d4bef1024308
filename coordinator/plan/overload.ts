import type {Evidence, Veto} from '../../wire/record.ts';
import type {FleetHost} from '../fleet.ts';
import {median} from '../health/sli.ts';
import {type Outlook, openTargets, placingOf} from './filter.ts';

/** So many mailboxes leave an overloaded host at once; then it is looked at again. */
const SHED_MAX = 10;
/** One mailbox with this share of the host's work is what overloads it, wherever it lives. */
const ONE_SHARE = 0.5;

const ROUNDING = 1e-9;

export interface Overload {
  /** Mailboxes that should leave, the busiest first. */
  users: string[];
  evidence: Evidence[];
  vetoes: Veto[];
}

/**
 * What relieves a host that has too much to do: the fewest mailboxes whose work is what it has beyond the middle of those that may take
 * some.
 */
export function overloadOf(host: string, outlook: Outlook): Overload {
  const {fleet} = outlook;
  const placing = placingOf(outlook, [host]);
  const loads = openTargets(placing).flatMap(name => loadOf(fleet.hosts.get(name)) ?? []);
  const [own, usual] = [loadOf(fleet.hosts.get(host)), median(loads)];
  const note = `against the middle of ${loads.length} hosts that may take some`;
  const ratio = own === null || usual === null || usual === 0 ? null : own / usual;
  const evidence = own === null ? [] : [{sli: 'deliveriesPerSecond', unit: '/s', value: own, baseline: usual, ratio, note}];
  if (loads.length === 0) return {users: [], evidence, vetoes: [{code: 'NO_HEALTHY_TARGET', detail: {hosts: [host]}}]};
  const isMovable = (user: string): boolean => !placing.moving.has(user) && !placing.rules.isPinned(user);
  const mailboxes = [...fleet.routes].flatMap(([user, route]) => {
    return route.host === host && isMovable(user) ? [{user, load: placing.loads.of(user)}] : [];
  });
  mailboxes.sort((a, b) => b.load - a.load || (a.user < b.user ? -1 : 1));
  const total = mailboxes.reduce((sum, {load}) => sum + load, 0);
  const overShare = ratio === null || ratio <= 1 ? 0 : 1 - 1 / ratio;
  const users: string[] = [];
  let shed = 0;
  for (const {user, load} of mailboxes) {
    if (users.length === SHED_MAX || shed >= overShare * total * (1 - ROUNDING)) break;
    users.push(user);
    shed += load;
  }
  // What one mailbox has now is told by the host within minutes; what it has by the day is known after hours.
  const one = mailboxes.length === 1 ? null : (busiestNow(fleet.hosts.get(host)) ?? busiestByDay(mailboxes[0], total));
  return {users, evidence, vetoes: one === null ? [] : [{code: 'ONE_MAILBOX', detail: one}]};
}

function busiestNow(host: FleetHost | undefined): {user: string; share: number} | null {
  return host?.reports.at(-1)?.load.busiest ?? null;
}

function busiestByDay(first: {user: string; load: number} | undefined, total: number): {user: string; share: number} | null {
  const share = first === undefined ? 0 : first.load / total;
  return first === undefined || share < ONE_SHARE ? null : {user: first.user, share: Number(share.toPrecision(3))};
}

function loadOf(host: FleetHost | undefined): number | null {
  const told = host?.reports.flatMap(({load}) => load.deliveriesPerSecond ?? []) ?? [];
  return median(told);
}
