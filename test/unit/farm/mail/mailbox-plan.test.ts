import {expect, it} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {maildirName, modifiedUtf7, planMailbox} from '../../../../farm/mail/mailbox-plan.ts';

it('writes folder names as RFC 3501 does', () => {
  expect(modifiedUtf7('Entwürfe & Ideen')).toBe('Entw&APw-rfe &- Ideen');
  // The example of RFC 3501 section 5.1.3
  expect(modifiedUtf7('~peter/mail/台北/日本語')).toBe('~peter/mail/&U,BTFw-/&ZeVnLIqe-');
  expect(modifiedUtf7('\u{1f4ec}')).toBe('&2D3c7A-');
  expect(maildirName('INBOX')).toBe('');
  expect(maildirName('Archive/2002')).toBe('.Archive.2002');
});

it('uses no message twice in a mailbox, and plans the same for the same chance', () => {
  const plan = planMailbox(seededRng(4), 60, 1_800_000_000_000);
  const used = plan.flatMap(folder => folder.messages.map(message => message.corpus));
  expect(new Set(used).size).toBe(used.length);
  expect(used.length).toBeGreaterThanOrEqual(20);
  expect(planMailbox(seededRng(4), 60, 1_800_000_000_000)).toEqual(plan);
  expect(plan.find(folder => folder.path === 'Empty')?.messages).toEqual([]);
});
