import {expect, test} from 'vitest';
import {unreadMessage} from '../../../../agent/move/manifest.ts';

const WHY =
  'read(/var/vmail/ada/Maildir/cur/1002.M0P1.h,S=313,W=316:2,S) failed: Cached message size larger than expected (313 > 100, box=A b, UID=2)';

test.each([
  [
    '2.3',
    `doveadm(ada@x): Error: Mailbox A b: UID=2: ${WHY} (read reason=mail stream)\ndoveadm(ada@x): Error: fetch(text) failed for box=A b uid=2: ${WHY}\n`,
  ],
  [
    '2.4',
    `doveadm(ada@x): Error: Mailbox A b: UID 2: ${WHY} (read reason=mail stream)\ndoveadm(ada@x): Error: cmd fetch: fetch(text) failed for box=A b uid=2: ${WHY}\n`,
  ],
])('which message Dovecot %s could not read', (_release, err) => {
  expect(unreadMessage(err)).toEqual({folder: 'A b', uid: 2, reason: WHY, messages: 1});
  expect(unreadMessage(`${err}doveadm(ada@x): Error: fetch(text) failed for box=Sent uid=9: gone\n`)).toMatchObject({uid: 2, messages: 2});
});

test('anything else is no message', () => {
  expect(unreadMessage('')).toBeNull();
  expect(unreadMessage("doveadm(ada@x): Error: User doesn't exist\n")).toBeNull();
});
