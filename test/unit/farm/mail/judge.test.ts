import {describe, expect, it} from 'vitest';
import {type FoundMailbox, judge} from '../../../../farm/mail/judge.ts';
import type {LedgerEntry} from '../../../../farm/mail/ledger.ts';

const USER = 'ada@farm.example';
const place = {folder: 'INBOX', uidValidity: '7', uid: 1};

function mailbox(...messages: {uid: number; messageId: string; flags?: string[]; folder?: string; uidValidity?: string}[]): FoundMailbox[] {
  const folders = new Map<string, {folder: string; uidValidity: string; messages: {uid: number; messageId: string; flags: string[]}[]}>();
  for (const {uid, messageId, flags = [], folder = 'INBOX', uidValidity = '7'} of messages) {
    const found = folders.get(folder) ?? {folder, uidValidity, messages: []};
    found.messages.push({uid, messageId, flags});
    folders.set(folder, found);
  }
  return [{user: USER, folders: [...folders.values()]}];
}

const accepted = (messageId: string): LedgerEntry => ({kind: 'accepted', atMs: 1, user: USER, messageId});
const known = (messageId: string, flags: string[] | null, atMs = 1): LedgerEntry => ({
  kind: 'known',
  atMs,
  user: USER,
  ...place,
  messageId,
  flags,
});
const flagged = (flag: string, isSet: boolean, atMs = 2): LedgerEntry => ({kind: 'flagged', atMs, user: USER, ...place, flag, isSet});
const unsureFlag = (flag: string, atMs: number): LedgerEntry => ({kind: 'unsureFlag', atMs, user: USER, ...place, flag, reason: ''});

function counts(entries: LedgerEntry[], found: FoundMailbox[]): Record<string, number> {
  const {lost, duplicated, uidsChanged, wrongFlags} = judge(entries, found);
  return {lost: lost.length, duplicated: duplicated.length, uidsChanged: uidsChanged.length, wrongFlags: wrongFlags.length};
}

const CLEAN = {lost: 0, duplicated: 0, uidsChanged: 0, wrongFlags: 0};

describe('messages', () => {
  it('is content when every accepted mail is there once', () => {
    expect(counts([accepted('<a>'), accepted('<b>')], mailbox({uid: 1, messageId: '<a>'}, {uid: 2, messageId: '<b>'}))).toEqual(CLEAN);
  });

  it('finds an accepted mail that is nowhere', () => {
    expect(counts([accepted('<a>')], mailbox())).toEqual({...CLEAN, lost: 1});
  });

  it('finds a mail of another user in vain', () => {
    const found = mailbox({uid: 1, messageId: '<a>'}).map(each => ({...each, user: 'ben@farm.example'}));
    expect(counts([accepted('<a>')], found)).toEqual({...CLEAN, lost: 1});
  });

  it('finds a message that stands twice, in one folder or in two', () => {
    expect(counts([accepted('<a>')], mailbox({uid: 1, messageId: '<a>'}, {uid: 2, messageId: '<a>'})).duplicated).toBe(1);
    expect(counts([accepted('<a>')], mailbox({uid: 1, messageId: '<a>'}, {uid: 1, messageId: '<a>', folder: 'Sent'})).duplicated).toBe(1);
  });

  it('allows both ends of what was never answered, but not twice', () => {
    const unsure: LedgerEntry = {kind: 'unsureAppend', atMs: 1, user: USER, folder: 'INBOX', messageId: '<a>', reason: ''};
    expect(counts([unsure], mailbox())).toEqual(CLEAN);
    expect(counts([unsure], mailbox({uid: 1, messageId: '<a>'}))).toEqual(CLEAN);
    expect(judge([unsure], mailbox({uid: 1, messageId: '<a>'})).unsurePresent).toBe(1);
    expect(counts([unsure], mailbox({uid: 1, messageId: '<a>'}, {uid: 2, messageId: '<a>'}))).toEqual({...CLEAN, duplicated: 1});
  });
});

describe('UIDs', () => {
  it('finds another UID, another UIDVALIDITY, another folder', () => {
    expect(counts([known('<a>', [])], mailbox({uid: 2, messageId: '<a>'})).uidsChanged).toBe(1);
    expect(counts([known('<a>', [])], mailbox({uid: 1, messageId: '<a>', uidValidity: '8'})).uidsChanged).toBe(1);
    expect(counts([known('<a>', [])], mailbox({uid: 1, messageId: '<a>', folder: 'Sent'})).uidsChanged).toBe(1);
  });

  it('holds a message to the first UID it was seen under, though it was read again later', () => {
    const later: LedgerEntry = {kind: 'known', atMs: 5, user: USER, folder: 'INBOX', uidValidity: '7', uid: 2, messageId: '<a>', flags: []};
    expect(counts([known('<a>', []), later], mailbox({uid: 2, messageId: '<a>'})).uidsChanged).toBe(1);
  });

  it('counts a known message that is gone as lost', () => {
    expect(counts([known('<a>', [])], mailbox())).toEqual({...CLEAN, lost: 1});
  });
});

describe('flags', () => {
  it('compares all flags once they were read', () => {
    const entries = [known('<a>', ['\\Seen', 'todo'])];
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['todo', '\\Seen', '\\Recent']}))).toEqual(CLEAN);
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['\\Seen']})).wrongFlags).toBe(1);
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['todo', '\\Seen', '\\Draft']})).wrongFlags).toBe(1);
  });

  it('compares single flags where the others were never read', () => {
    const entries = [known('<a>', null), flagged('\\Flagged', true)];
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['\\Flagged', '\\Seen']}))).toEqual(CLEAN);
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['\\Seen']})).wrongFlags).toBe(1);
  });

  it('follows acknowledged changes in their order', () => {
    const entries = [known('<a>', []), flagged('\\Flagged', true), flagged('\\Flagged', false)];
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['\\Flagged']})).wrongFlags).toBe(1);
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>'}))).toEqual(CLEAN);
  });

  it('allows both for a change that was never answered, and only for that flag', () => {
    const entries = [known('<a>', []), unsureFlag('\\Flagged', 2)];
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>'}))).toEqual(CLEAN);
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['\\Flagged']}))).toEqual(CLEAN);
    expect(counts(entries, mailbox({uid: 1, messageId: '<a>', flags: ['\\Seen']})).wrongFlags).toBe(1);
  });

  it('stays unsure for a while, since a command may take effect after its client is gone, and no longer', () => {
    const soon = [known('<a>', []), unsureFlag('\\Flagged', 1_000), known('<a>', [], 5_000)];
    expect(counts(soon, mailbox({uid: 1, messageId: '<a>', flags: ['\\Flagged']}))).toEqual(CLEAN);
    const late = [known('<a>', []), unsureFlag('\\Flagged', 1_000), known('<a>', [], 200_000)];
    expect(counts(late, mailbox({uid: 1, messageId: '<a>', flags: ['\\Flagged']})).wrongFlags).toBe(1);
  });
});
