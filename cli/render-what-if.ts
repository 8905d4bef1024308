import type {WhatIfView} from '../wire/api.ts';
import {size, table} from './format.ts';

/** A plan for a farm that is not, for people. */
export function renderWhatIf(view: WhatIfView, isWhy: boolean): string {
  const {fits, moves, lack, overfull, terms, roomBytesBefore, roomBytesAfter, fullest, closed} = view;
  const lines = [fits ? `It fits: ${moves} mailboxes, ${size(terms.moved)}, would move.` : 'It does not fit.'];
  if (lack !== null) {
    lines.push(`${lack.mailboxes} mailboxes, ${size(lack.bytes)}, have no place; ${moves}, ${size(terms.moved)}, have.`);
    lines.push(
      `Room on open hosts: ${size(lack.roomBytes)}; left over: ${size(lack.leftBytes)}, at most ${size(lack.largestRoomBytes)} on one.`,
    );
    lines.push(`The largest mailbox without a place has ${size(lack.largestBytes)}.`);
    if (lack.standardHosts !== null) lines.push(`${lack.standardHosts} more hosts of ${size(lack.standardBytes ?? 0)} would do.`);
  }
  for (const {host, lackBytes} of overfull) lines.push(`${host} would hold ${size(lackBytes)} more than its reserve allows.`);
  lines.push(`Room on open hosts before ${size(roomBytesBefore)}, after ${size(roomBytesAfter)}.`);
  const reasons = Object.entries(closed).map(([code, count]) => `${count} ${code}`);
  if (reasons.length > 0) lines.push(`Hosts that take nothing: ${reasons.join(', ')}.`);
  if (fullest.length > 0) {
    const rows = fullest.map(({host, bytes, level, resource, roomBytes}) => [
      host,
      size(bytes),
      size(Math.max(0, roomBytes)),
      level.toFixed(2),
      resource,
    ]);
    lines.push('', 'Fullest hosts after (1.00 = perfectly even):', table(['HOST', 'BYTES#', 'ROOM#', 'LEVEL#', 'BY'], rows));
  }
  return [...lines, ...(isWhy ? renderReasons(view) : [])].join('\n');
}

function renderReasons({why}: WhatIfView): string[] {
  return why.flatMap(({user, source, bytes, target, code, level, others}) => [
    '',
    `${user}, ${size(bytes)}: ${source} to ${target}, which ends at ${level.toFixed(2)} (${code})`,
    ...others.map(
      other =>
        `  not ${other.host}: ${other.code}, ${other.lackBytes > 0 ? `lacks ${size(other.lackBytes)}` : `would end at ${other.level.toFixed(2)}`}`,
    ),
  ]);
}
