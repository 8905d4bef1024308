import {expect, test} from 'vitest';
import {lateFolders, named, verifiedAs} from '../../../../coordinator/move/leftover.ts';
import type {FolderManifest, Manifest} from '../../../../wire/manifest.ts';

function folder(name: string, uidNext: number): FolderManifest {
  const rest = {uidValidity: 1, highestModseq: 1, messages: 0, bytes: 0, digest: '', texts: null, acl: []};
  return {name, guid: `guid of ${name}`, uidNext, ...rest};
}

function manifest(...folders: FolderManifest[]): Manifest {
  return {folders, subscriptions: [], sieve: [], lines: null};
}

function late(name: string, first: number, last: number, nameNow: string | null = name): object {
  return {guid: `guid of ${name}`, name, first, last, nameNow};
}

const VERIFIED = verifiedAs('d', manifest(folder('INBOX', 11), folder('Lists', 4)));

test('mail came late into folders whose UIDNEXT is beyond what was verified, and into new ones that have any', () => {
  const same = [folder('INBOX', 11), {...folder('Lists', 4), highestModseq: 99}];
  expect(lateFolders(VERIFIED, manifest(...same, folder('Empty', 1)))).toEqual([]);
  const since = manifest(folder('INBOX', 13), folder('Lists', 4), folder('New', 2));
  expect(lateFolders(VERIFIED, since)).toEqual([late('INBOX', 11, 12), late('New', 1, 1)]);
});

test('of more folders than a record holds none is noted', () => {
  const many = Array.from({length: 2_001}, (_, index) => folder(`f${index}`, 2));
  expect(verifiedAs('d', manifest(...many)).uidNexts).toBeUndefined();
  expect(Object.keys(verifiedAs('d', manifest(...many.slice(1))).uidNexts ?? {})).toHaveLength(2_000);
});

test('where an older release noted nothing nobody knows', () => {
  expect(lateFolders({digest: 'd', messages: 1, folders: 1}, manifest(folder('INBOX', 12)))).toBeNull();
  expect(lateFolders(null, manifest(folder('INBOX', 12)))).toBeNull();
});

test('late mail for a folder that is gone goes to INBOX, which is carried too; one that was renamed is told so, a new one is made', () => {
  const copy = manifest(folder('INBOX', 11), folder('Lists', 5), folder('New', 2));
  const found = lateFolders(VERIFIED, copy) ?? [];
  const there = (...names: [string, string][]): Map<string, string> => new Map([['guid of INBOX', 'INBOX'], ...names]);
  const told = (names: Map<string, string>): object[] => named(found, VERIFIED.uidNexts ?? {}, copy, names);
  expect(told(there())).toEqual([late('Lists', 4, 4, null), late('New', 1, 1), late('INBOX', 11, 10)]);
  expect(told(there(['guid of Lists', 'Letters']))).toEqual([late('Lists', 4, 4, 'Letters'), late('New', 1, 1)]);
});
