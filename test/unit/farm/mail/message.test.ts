import {expect, it} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {composeMail, gapMs} from '../../../../farm/mail/message.ts';

const corpus =
  'Received: by old\nMessage-ID: <old@x>\nSubject: hello\n world\nContent-Type: text/plain;\n\tcharset=utf-8\nTo: me@x\n\nline 1\nline 2\n';

it('keeps subject, type and body, and replaces everything else', () => {
  const text = composeMail(corpus, {from: 'a@b', to: 'c@d', messageId: '<new@x>', date: new Date(0), isFiled: true});
  expect(text).toBe(
    'From: <a@b>\r\nTo: <c@d>\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <new@x>\r\nX-Topic: filed\r\n' +
      'Subject: hello\r\n world\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n\r\nline 1\r\nline 2\r\n',
  );
});

it('sends at the rate it is told on average', () => {
  const rng = seededRng(7);
  const total = Array.from({length: 5_000}, () => gapMs(rng, 20)).reduce((sum, gap) => sum + gap, 0);
  expect(total / 5_000).toBeGreaterThan(47);
  expect(total / 5_000).toBeLessThan(53);
});
