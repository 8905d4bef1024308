import {describe, expect, test} from 'vitest';
import {canonicalManifest, compareLines, compareManifests, lostSince, messageCount} from '../../../../coordinator/verify/compare.ts';
import type {Manifest} from '../../../../wire/manifest.ts';

const MANIFEST: Manifest = {
  folders: [
    {
      name: 'INBOX',
      guid: 'g1',
      uidValidity: 1,
      uidNext: 5,
      highestModseq: 9,
      messages: 4,
      bytes: 100,
      digest: 'd1',
      texts: 't1',
      acl: ['a lookup'],
    },
    {name: 'Sent', guid: 'g2', uidValidity: 2, uidNext: 2, highestModseq: 3, messages: 1, bytes: 10, digest: 'd2', texts: 't2', acl: []},
  ],
  subscriptions: ['INBOX', 'Sent'],
  sieve: [{name: 'filter', digest: 's', active: true}],
  lines: null,
};
const inbox = (change: object): Manifest => ({
  ...MANIFEST,
  folders: MANIFEST.folders.map((folder, index) => (index === 0 ? {...folder, ...change} : folder)),
});

describe('what must survive a move', () => {
  test('equal manifests have no difference, in any order', () => {
    const shuffled = {...MANIFEST, folders: [...MANIFEST.folders].reverse(), subscriptions: ['Sent', 'INBOX']};
    expect(compareManifests(MANIFEST, shuffled)).toEqual([]);
    expect(canonicalManifest(MANIFEST)).toBe(canonicalManifest(shuffled));
    expect(messageCount(MANIFEST)).toBe(5);
  });

  test.each([
    ['guid', inbox({guid: 'x'})],
    ['uidValidity', inbox({uidValidity: 7})],
    ['uidNext', inbox({uidNext: 6})],
    ['messages', inbox({messages: 3})],
    ['digest', inbox({digest: 'x'})],
    ['texts', inbox({texts: 'x'})],
    ['acl', inbox({acl: []})],
    ['highestModseq', inbox({highestModseq: 8})],
    ['folder', {...MANIFEST, folders: MANIFEST.folders.slice(0, 1)}],
    ['subscriptions', {...MANIFEST, subscriptions: ['INBOX']}],
    ['sieve', {...MANIFEST, sieve: [{name: 'filter', digest: 's', active: false}]}],
  ])('%s is missed on the target', (what, target) => {
    expect(compareManifests(MANIFEST, target).map(difference => difference.what)).toEqual([what]);
  });

  test('of long lists that differ a few items are told that one end lacks: they are stored with the move', () => {
    const many = Array.from({length: 20_000}, (_, index) => `folder ${index}`);
    const less = {...MANIFEST, subscriptions: [...many.slice(1), 'only here']};
    expect(compareManifests({...MANIFEST, subscriptions: many}, less)).toEqual([
      {what: 'subscriptions', folder: null, source: ['folder 0'], target: ['only here']},
    ]);
    const [none] = compareManifests({...MANIFEST, subscriptions: many}, {...MANIFEST, subscriptions: []});
    expect(none?.source).toHaveLength(20);
  });

  test('texts that were not read are no texts that are equal', () => {
    expect(compareManifests(inbox({texts: null}), inbox({texts: null})).map(({what}) => what)).toEqual(['texts']);
  });

  test('messages that differ are told by their lines', () => {
    const source = ['1 g1 100 a', '2 g2 100 b', '9 g9 100 c'];
    const target = ['1 g1 100 a', '2 g2 100 x', '10 g10 100 d'];
    const told = compareLines('INBOX', source, target).map(({what, folder, ...ends}) => ends);
    expect(told).toEqual([
      {source: '2 g2 100 b', target: '2 g2 100 x'},
      {source: '9 g9 100 c', target: null},
      {source: null, target: '10 g10 100 d'},
    ]);
    expect(compareLines('INBOX', source, source)).toEqual([]);
  });

  test('a folder too many on the target counts, a higher HIGHESTMODSEQ does not', () => {
    expect(compareManifests({...MANIFEST, folders: MANIFEST.folders.slice(0, 1)}, MANIFEST)).toHaveLength(1);
    expect(compareManifests(MANIFEST, inbox({highestModseq: 10}))).toEqual([]);
  });
});

describe('what a mailbox that is used on cannot have lost of a copy', () => {
  test.each([
    ['nothing happened', MANIFEST],
    ['mail came', inbox({uidNext: 9, messages: 8, highestModseq: 12, digest: 'other'})],
    ['all mail of INBOX was removed', inbox({messages: 0, highestModseq: 12})],
    [
      'a folder was removed, and another made',
      {...MANIFEST, folders: MANIFEST.folders.map(folder => (folder.name === 'Sent' ? {...folder, guid: 'g9', uidValidity: 3} : folder))},
    ],
  ] as [string, Manifest][])('%s', (_what, mailbox) => {
    expect(lostSince(MANIFEST, mailbox)).toEqual([]);
  });

  test.each([
    ['folder', {...MANIFEST, folders: MANIFEST.folders.slice(1)}],
    ['folder', inbox({guid: 'g9', uidValidity: 8})],
    ['uidValidity', inbox({uidValidity: 8})],
    ['uidNext', inbox({uidNext: 4})],
  ])('%s', (what, mailbox) => {
    expect(lostSince(MANIFEST, mailbox)).toEqual([expect.objectContaining({what, folder: 'INBOX'})]);
  });
});
