import {octavePercentile} from '../../base/histogram.ts';
import type {DeliveryFigures} from '../../wire/mail-figures.ts';
import type {HostReport} from '../../wire/report.ts';
import {slowMs} from './latency.ts';

export type StageName = 'stageBeforeMs' | 'stageQueuedMs' | 'stageConnectingMs' | 'stageSendingMs';

/** What deliveries to mailboxes here spend in each part of their way; null: no such delivery was tried. */
export interface Stages {
  ms: Record<StageName, number | null>;
  /** Of the first stage what half of the mails take at most. */
  beforeMsP50: number | null;
  /** Attempts, and those of them that Postfix has to repeat. */
  attempts: number;
  deferred: number;
}

/**
 * The way of a mail through a host, as Postfix times it (postconf(5), `delay_logging_resolution_limit`: delays=a/b/c/d). Below its floor
 * no stage explains a delay.
 */
export const STAGE_TABLE: readonly {stage: StageName; part: keyof DeliveryFigures['delays']; floor: number; where: string}[] = [
  {stage: 'stageBeforeMs', part: 'before', floor: 1_000, where: 'before the queue manager: received, put on disk, or tried before'},
  {stage: 'stageQueuedMs', part: 'queued', floor: 1_000, where: 'in the queue manager: a full active queue, or a limit'},
  {stage: 'stageConnectingMs', part: 'connecting', floor: 1_000, where: 'until LMTP answers: Dovecot takes no connection, or the network'},
  {stage: 'stageSendingMs', part: 'sending', floor: 1_000, where: 'while Dovecot stores it'},
];

/** The client of Postfix that brings mail to mailboxes, by whatever name its service has it; all others carry mail away. */
const TO_MAILBOXES = /lmtp/;

/** What Postfix logged of deliveries to mailboxes, all reports together; mail for the outside world is not in it. */
export function stagesOf(reports: readonly HostReport[]): Stages {
  const rows = reports.flatMap(({mailFigures}) =>
    (mailFigures?.log?.deliveries ?? []).filter(({transport}) => TO_MAILBOXES.test(transport)),
  );
  const ms = Object.fromEntries(
    STAGE_TABLE.map(({stage, part}) => [stage, rows.length === 0 ? null : slowMs(rows.map(({delays}) => delays[part]))]),
  ) as Stages['ms'];
  const sum = (pick: (row: DeliveryFigures) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  const beforeUs = octavePercentile(
    rows.map(({delays}) => delays.before),
    () => 0.5,
  );
  const beforeMsP50 = beforeUs === null ? null : beforeUs / 1000;
  return {
    ms,
    beforeMsP50,
    attempts: sum(({sent, deferred, bounced, other}) => sent + deferred + bounced + other),
    deferred: sum(row => row.deferred),
  };
}
