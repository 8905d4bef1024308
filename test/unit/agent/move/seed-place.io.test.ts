import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {refuseShared} from '../../../../agent/move/seed-place.io.ts';

let store: string;

beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'mailherd-homes-'));
});
afterEach(() => rmSync(store, {recursive: true}));

function write(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(store, file)), {recursive: true});
    writeFileSync(join(store, file), '');
  }
}

const refuse = (home: string, inbox: string): Promise<void> => refuseShared('user', join(store, home), join(store, inbox));

test('a home with homes of others in it is refused, whatever lies there of his own', async () => {
  write('example.org/ada/Maildir/dovecot-uidvalidity', 'example.org/notes/text');
  await expect(refuse('example.org', 'example.org/Maildir')).rejects.toThrow('HOME_SHARED');
  write('example.org/Maildir/dovecot-uidvalidity', 'example.org/Maildir/cur/1');
  await expect(refuse('example.org', 'example.org/Maildir')).rejects.toThrow('HOME_SHARED');
  await refuse('example.org/ada', 'example.org/ada/Maildir');
});

test('so is one whose mail lies right in it, as theirs does in theirs', async () => {
  write('example.org/ada/dovecot-uidvalidity', 'example.org/ada/cur/1', 'example.org/ada/Lists/cur/1', 'example.org/ada/.Sent/cur/1');
  await expect(refuse('example.org', 'example.org')).rejects.toThrow('HOME_SHARED');
  await refuse('example.org/ada', 'example.org/ada');
});

test('a home with scripts, folders and indexes, or none yet, is his alone', async () => {
  write(
    'ada/mdbox/dovecot-uidvalidity',
    'ada/mdbox/mailboxes/INBOX/dbox-Mails/dovecot.index',
    'ada/sieve/a.sieve',
    'ada/.backup/mdbox/dovecot-uidvalidity',
  );
  await refuse('ada', 'ada/mdbox/mailboxes/INBOX/dbox-Mails');
  await refuse('ben', 'ben/Maildir');
});
