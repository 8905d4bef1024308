import {expect, test, vi} from 'vitest';
import type {AclReader} from '../../../../agent/move/acls.io.ts';
import {KnownTexts} from '../../../../agent/move/bodies.io.ts';
import type {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import {ManifestReader} from '../../../../agent/move/manifest.io.ts';
import type * as tool from '../../../../agent/move/tool.io.ts';

/** What runs instead of doveadm, which is not here. */
const programs = vi.hoisted(() => ({doveadm: [] as string[], started: 0}));
vi.mock('../../../../agent/move/tool.io.ts', async original => {
  const real = await original<typeof tool>();
  const start: typeof tool.start = (command, ...rest) => {
    programs.started++;
    return real.start(programs.doveadm.length > 0 ? programs.doveadm : command, ...rest);
  };
  return {...real, start};
});

const ACLS = {unrestricted: async () => [], read: async () => new Map(), forget: () => undefined} as unknown as AclReader;
const MESSAGE = {guid: 'g', 'size.virtual': '9', 'date.received': '1', flags: ''};

/** A mailbox whose status tells these numbers of messages, one after the other, while two are fetched. */
function readerOf(counts: string[]): ManifestReader {
  const rows = async (_user: string, [words]: readonly string[]): Promise<Record<string, string>[]> => {
    if (words === 'mailbox status') return [{mailbox: 'INBOX', messages: counts.shift() ?? '2', guid: 'f', uidvalidity: '1', uidnext: '3'}];
    return words === 'fetch' ? ['1', '2'].map(uid => ({mailbox: 'INBOX', uid, ...MESSAGE})) : [];
  };
  return new ManifestReader(ACLS, {rows, eachRow: rows, values: async () => []} as unknown as DoveadmServer, new KnownTexts());
}
const WISH = {folder: null, texts: false};

test('a message that is stored between the two questions is no fault: both are asked again', async () => {
  expect((await readerOf(['1']).read('ada@x', WISH)).folders).toMatchObject([{name: 'INBOX', messages: 2}]);
});

test('a mailbox that goes on telling two numbers is refused, with both', async () => {
  const read = readerOf(Array(9).fill('1')).read('ada@x', WISH);
  await expect(read).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {folder: 'INBOX', reason: '1 messages by status, 2 fetched'}});
});

test('texts that could not be read are not taken for read; what was read ahead in vain is told to who reads next, once', async () => {
  const rows = async (_user: string, [words]: readonly string[]): Promise<Record<string, string>[]> =>
    words === 'fetch' ? ['1', '2'].map(uid => ({'mailbox-guid': 'f', uid})) : [{mailbox: 'INBOX', messages: '2', guid: 'f', uidnext: '3'}];
  const server = {rows, eachRow: rows, values: async () => [], prepare: async () => undefined} as unknown as DoveadmServer;
  const texts = new KnownTexts();
  const reader = new ManifestReader(ACLS, server, texts);
  // There is no such program here.
  await expect(reader.readTexts('ada@x')).rejects.toMatchObject({code: 'COMMAND_FAILED'});
  await reader.readAhead('ada@x');
  for (const uid of [1, 2]) texts.of('ada@x').put('f', uid, Buffer.alloc(32));
  await expect(reader.readTexts('ada@x')).rejects.toMatchObject({code: 'COMMAND_FAILED'});
  expect(await reader.readTexts('ada@x')).toBe(2);
});

test('texts of a mailbox of which nothing is known are read at once; of another it is asked first what is new', async () => {
  let asked = 0;
  const rows = async (): Promise<Record<string, string>[]> => {
    asked++;
    return [{mailbox: 'INBOX', messages: '2', guid: 'f', uidnext: '3'}];
  };
  const texts = new KnownTexts();
  const reader = new ManifestReader(ACLS, {rows, eachRow: rows, prepare: async () => undefined} as unknown as DoveadmServer, texts);
  await reader.readAhead('ada@x');
  expect(asked).toBe(0);
  texts.of('bert@x').readThrough('f', 2);
  await reader.readAhead('bert@x');
  expect(asked).toBe(1);
});

test('what reads ahead is killed at a signal, is gone then, and nobody is told; nothing begins after it', async () => {
  const rows = async (): Promise<Record<string, string>[]> => [{mailbox: 'INBOX', messages: '2', guid: 'f', uidnext: '3'}];
  const server = {rows, eachRow: async () => [], prepare: async () => undefined} as unknown as DoveadmServer;
  const reader = new ManifestReader(ACLS, server, new KnownTexts());
  programs.doveadm = ['sleep', '3600'];
  programs.started = 0;
  const stop = new AbortController();
  const reading = reader.readAhead('ada@x', stop.signal);
  await vi.waitFor(() => expect(programs.started).toBe(1));
  const waiting = new AbortController();
  const read = reader.readTexts('ada@x', waiting.signal);
  waiting.abort();
  await expect(read).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {reason: 'ended'}});
  stop.abort();
  await reading;
  await reader.readAhead('ada@x', stop.signal);
  expect(programs.started).toBe(1);
  programs.doveadm = [];
  expect(await reader.readTexts('ada@x')).toBe(2);
});
