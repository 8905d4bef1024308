import type {Audit} from './audit.io.ts';
import type {Finding} from './mail/judge.ts';
import {tableText} from './table.ts';

const SHOWN_MAX = 10;

function findings(title: string, list: readonly Finding[]): string {
  if (list.length === 0) return '';
  const lines = list.slice(0, SHOWN_MAX).map(each => `  ${each.user} ${each.messageId}: ${each.detail}`);
  const rest = list.length > SHOWN_MAX ? [`  ... and ${list.length - SHOWN_MAX} more`] : [];
  return `${[`${title}:`, ...lines, ...rest].join('\n')}\n`;
}

const seconds = (ms: number | null): string => (ms === null ? '-' : (ms / 1_000).toFixed(1));

/** An audit for people. */
export function auditText(result: Audit): string {
  const summary = tableText(null, [
    ['mails accepted', result.accepted],
    ['messages filed (APPEND)', result.appended],
    ['flag changes', result.flagged],
    ['messages whose UID was known', result.known],
    ['never answered (of them there)', `${result.unsure} (${result.unsurePresent})`],
    ['lost', result.lost.length],
    ['duplicated', result.duplicated.length],
    ['UIDs changed', result.uidsChanged.length],
    ['wrong flags', result.wrongFlags.length],
    ['bounced', result.bounced],
    [
      'queues empty after',
      result.queuesEmptyAfterMs === null ? `never: ${JSON.stringify(result.queuesLeft)}` : `${result.queuesEmptyAfterMs} ms`,
    ],
    ['delivery p50 / p95 / max', `${seconds(result.delayMsP50)} / ${seconds(result.delayMsP95)} / ${seconds(result.delayMsMax)} s`],
  ]);
  const first = result.felt[0]?.fromMs ?? 0;
  const time = tableText(
    ['after s', 'accepted', 'delay p50', 'p95', 'max s', 'logins', 'failed', 'dropped', 'orderly', 'users hurt'],
    result.felt.map(each => [
      ((each.fromMs - first) / 1_000).toFixed(0),
      each.accepted,
      seconds(each.delayMsP50),
      seconds(each.delayMsP95),
      seconds(each.delayMsMax),
      each.logins,
      each.loginErrors,
      each.dropped,
      each.droppedOrderly,
      `${(each.hurtShare * 100).toFixed(0)} %`,
    ]),
  );
  return [
    summary,
    findings('lost', result.lost),
    findings('duplicated', result.duplicated),
    findings('UIDs changed', result.uidsChanged),
    findings('wrong flags', result.wrongFlags),
    time,
  ].join('');
}
