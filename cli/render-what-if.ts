import {type Look, percent, size, table} from '../base/format.ts';
import type {WhatIfView} from '../wire/api.ts';
import type {Account, Plan} from '../wire/record.ts';
import {capacityLine} from './capacity.ts';

/** A plan for a farm that is not, for people. */
export function renderWhatIf(view: WhatIfView, isWhy: boolean, look: Look): string {
  const {fits, moves, pinned, account, overfull, overloaded, roomBytesBefore, roomBytesAfter, fullest, closed} = view;
  const lines = [fits ? `It fits: ${moves} mailboxes, ${size(account.after.moved)}, would move.` : 'It does not fit.'];
  if (account.lack !== null) lines.push(...renderLack(account.lack, moves, account.after.moved));
  if (pinned > 0) lines.push(`${pinned} mailboxes are pinned: only a person moves them.`);
  for (const {host, lackBytes} of overfull) lines.push(`${host} would hold ${size(lackBytes)} more than its reserve allows.`);
  for (const {host, lackLoad} of overloaded) lines.push(`${host} would have ${whole(lackLoad)} more load than it may have.`);
  lines.push(`Room on open hosts before ${size(roomBytesBefore)}, after ${size(roomBytesAfter)}.`);
  lines.push(renderHeadroom(account), ...renderUnknown(account));
  const reasons = Object.entries(closed).map(([code, count]) => `${count} ${code}`);
  if (reasons.length > 0) lines.push(`Hosts that take nothing: ${reasons.join(', ')}.`);
  if (fullest.length > 0) {
    const rows = fullest.map(({host, bytes, load, loadMax, level, resource, roomBytes}) => [
      host,
      size(bytes),
      size(Math.max(0, roomBytes)),
      typeof loadMax === 'number' ? `${whole(load)} of ${whole(loadMax)}` : whole(load),
      level.toFixed(2),
      resource,
    ]);
    lines.push('', 'Fullest hosts after (1.00 = perfectly even):', table(['HOST', 'BYTES#', 'ROOM#', 'LOAD#', 'LEVEL#', 'BY'], rows));
  }
  lines.push(...renderSurvival(view));
  const {forecast = null} = view;
  if (forecast !== null) lines.push('', `Hardware: ${capacityLine(forecast, look)}`);
  return [...lines, ...(isWhy ? ['', ...renderCosts(account), ...renderReasons(view)] : [])].join('\n');
}

/** What a stored plan weighed, and why its mailboxes go where they go. */
export function renderStoredPlan({id, kind, because, generation, parent, moves, unplaced, account}: Plan, isWhy: boolean): string {
  const bytes = moves.reduce((sum, move) => sum + move.bytes, 0);
  const lines = [`Plan ${id}, ${kind}, generation ${generation}${parent === null ? '' : ` after ${parent}`}: ${because}`];
  lines.push(`${moves.length} mailboxes, ${size(bytes)}, move; ${unplaced.length} have no place.`);
  if (account !== undefined) {
    if (account.lack !== null) lines.push(...renderLack(account.lack, moves.length, account.after.moved));
    lines.push(renderHeadroom(account), ...renderUnknown(account), ...(isWhy ? renderCosts(account) : []));
  }
  if (!isWhy) return lines.join('\n');
  const rows = moves.map(({user, source, target, bytes: own, choice}) => [
    user,
    source,
    target,
    size(own),
    choice?.code ?? 'ASKED_FOR',
    choice?.level.toFixed(2) ?? '',
    choice?.next === undefined || choice.next === null ? '' : `${choice.next.host}: ${choice.next.code}, ${choice.next.level.toFixed(2)}`,
  ]);
  const left = unplaced.map(({user, source, bytes: own, code}) => [user, source, '', size(own), code, '', '']);
  return [...lines, '', table(['USER', 'FROM', 'TO', 'SIZE#', 'WHY', 'LEVEL#', 'NEXT BEST'], [...rows, ...left])].join('\n');
}

function renderLack(lack: NonNullable<Account['lack']>, moves: number, movedBytes: number): string[] {
  const lines = [
    `${lack.mailboxes} mailboxes, ${size(lack.bytes)}, have no place; ${moves}, ${size(movedBytes)}, have.`,
    `Room on open hosts: ${size(lack.roomBytes)}; left over: ${size(lack.leftBytes)}, at most ${size(lack.largestRoomBytes)} on one.`,
    `The largest mailbox without a place has ${size(lack.largestBytes)}.`,
    ...(lack.load === undefined ? [] : [`Their load: ${whole(lack.load)} deliveries a day.`]),
  ];
  if (lack.standardHosts !== null) lines.push(`${lack.standardHosts} more hosts of ${size(lack.standardBytes ?? 0)} would do.`);
  for (const {tier, resource, mailboxes, bytes, roomBytes, standardHosts} of lack.tiers) {
    if (lack.tiers.length === 1 && tier === 'any') continue;
    const hosts = standardHosts === null ? '' : `; ${standardHosts} more hosts would do`;
    lines.push(`  ${tier} lacks ${resource}: ${mailboxes} mailboxes, ${size(bytes)}, with ${size(roomBytes)} of room${hosts}.`);
  }
  return lines;
}

/** A load is in deliveries a day. */
function whole(load: number): string {
  return String(Math.round(load));
}

function renderUnknown({loadUnknown = 0}: Account): string[] {
  return loadUnknown === 0 ? [] : [`The load of ${loadUnknown} mailboxes is not known: each counts as an average one.`];
}

function renderHeadroom({headroom: {wanted, before, after}}: Account): string {
  const told = (value: number | null): string => (value === null ? 'unknown' : percent(value));
  return `Headroom on open hosts before ${told(before)}, after ${told(after)}; wanted ${told(wanted)}.`;
}

function renderCosts({before, after, binding}: Account): string[] {
  const rows = (['moved', 'uneven', 'crowded', 'stays'] as const).map(term => [term, size(before[term]), size(after[term])]);
  const bound =
    binding === null ? [] : [`${binding.host} binds by ${binding.resource}: it ends at ${binding.level.toFixed(2)} of the even level.`];
  return [table(['COST', 'BEFORE#', 'AFTER#'], rows), ...bound];
}

function renderSurvival({survival}: WhatIfView): string[] {
  if (survival === null) return [];
  const {by, groups, lost, worst} = survival;
  const rows = worst.map(({group, hosts, bytes, lackBytes, standardHosts}) => {
    return [group, String(hosts), size(bytes), size(lackBytes), standardHosts === null ? '?' : String(standardHosts)];
  });
  const told =
    lost === 0
      ? `Any one ${by} of ${groups} may be lost.`
      : `${lost} of ${groups} cannot be lost without leaving mailboxes without a place.`;
  return ['', told, table([by.toUpperCase(), 'HOSTS#', 'BYTES#', 'LACKS#', 'MORE HOSTS#'], rows)];
}

function renderReasons({why}: WhatIfView): string[] {
  return why.flatMap(({user, source, bytes, load, target, code, level, others}) => [
    '',
    `${user}, ${size(bytes)}, load ${whole(load)}: ${source} to ${target}, which ends at ${level.toFixed(2)} (${code})`,
    ...others.map(({host, code: why, level: ends, lackBytes, lackLoad}) => {
      const lacks = lackBytes > 0 ? `lacks ${size(lackBytes)}` : `lacks ${whole(lackLoad)} of load`;
      return `  not ${host}: ${why}, ${lackBytes + lackLoad > 0 ? lacks : `would end at ${ends.toFixed(2)}`}`;
    }),
  ]);
}
