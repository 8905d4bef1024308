import type {Rng} from '../../base/random.ts';
import {SIEVE_HEADER, SIEVE_VALUE} from './mailbox-plan.ts';

/** Headers of a corpus message that say how to read its body. */
const KEPT = /^(?:subject|mime-version|content-type|content-transfer-encoding):/i;
const FILED_SHARE = 0.15;

export interface NewMail {
  from: string;
  to: string;
  messageId: string;
  date: Date;
  /** True when the customer's Sieve script is to file it. */
  isFiled: boolean;
}

/** A new message with the body of one from the corpus; lines end in CRLF. */
export function composeMail(corpusText: string, mail: NewMail): string {
  const end = corpusText.indexOf('\n\n');
  const headers = corpusText.slice(0, end).split(/\n(?![ \t])/);
  const lines = [
    `From: <${mail.from}>`,
    `To: <${mail.to}>`,
    `Date: ${mail.date.toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: ${mail.messageId}`,
    ...(mail.isFiled ? [`${SIEVE_HEADER}: ${SIEVE_VALUE}`] : []),
    ...headers.filter(header => KEPT.test(header)),
  ];
  return `${lines.join('\n')}\n\n${corpusText.slice(end + 2)}`.replace(/\r?\n/g, '\r\n');
}

/** Whether the next mail is one that the Sieve script files. */
export function isFiledNext(rng: Rng): boolean {
  return rng.unit() < FILED_SHARE;
}

/** Until the next mail of a stream at that rate (exponential gaps, as independent senders make them). */
export function gapMs(rng: Rng, perSecond: number): number {
  return (-Math.log(1 - rng.unit()) / perSecond) * 1_000;
}
