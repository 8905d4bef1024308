import {describe, expect, test} from 'vitest';
import {Passes} from '../../../../agent/move/admit.ts';
import type {Copy, HostPorts, Outside} from '../../../../agent/move/host-ports.ts';
import {Running} from '../../../../agent/move/running.ts';
import {endReading, serve, turnOf} from '../../../../agent/move/serve.ts';
import {MIB} from '../../../../base/units.ts';
import type {Answer} from '../../../../wire/command.ts';

const USER = 'ada@farm.example';
const WHOLE: Outside = {mail: null, goes: [], stays: []};
const REQUEST = {v: 1, token: 1, user: USER, moveId: '00000000-0000-4000-8000-000000000001', folder: null, texts: false} as const;

function hostAt(owner: string, copy: Copy | null): {ports: HostPorts; asked: string[]} {
  const asked: string[] = [];
  const ports = {
    host: 'be1',
    clock: {monotonic: () => 0},
    routes: {row: () => ({user: USER, host: owner, generation: 1, heldUntil: 0, heldTarget: null})},
    memory: {highestToken: () => 1, copy: () => copy},
    store: {
      exists: async () => true,
      outside: async () => WHOLE,
      manifest: async (user: string) => {
        asked.push(user);
        return {folders: [], subscriptions: [], sieve: [], lines: null};
      },
    },
  };
  return {ports: ports as unknown as HostPorts, asked};
}

test('a manifest is read where the user lives, and where a copy of that move lies', async () => {
  for (const {ports, asked} of [hostAt('be1', null), hostAt('be2', {user: USER, moveId: REQUEST.moveId, kind: 'retained'})]) {
    await serve(ports, 'manifest', REQUEST);
    expect(asked).toEqual([USER]);
  }
});

test('on a host without such a copy nobody looks: doveadm would make an empty mailbox by looking', async () => {
  const other = '00000000-0000-4000-8000-000000000002';
  for (const [copy, code] of [
    [null, 'COPY_MISSING'],
    [{user: USER, moveId: other, kind: 'retained'}, 'COPY_UNKNOWN'],
  ] as const) {
    const {ports, asked} = hostAt('be2', copy);
    await expect(serve(ports, 'manifest', REQUEST)).rejects.toMatchObject({code});
    expect(asked).toEqual([]);
  }
});

test('what another copy goes by is read where the user lives and has a mailbox, nowhere else, and none is made for it', async () => {
  const bare = hostAt('be1', null);
  const none = {...bare.ports, store: {...bare.ports.store, exists: async () => false}};
  const moved = hostAt('be2', {user: USER, moveId: REQUEST.moveId, kind: 'retained'});
  for (const [{ports, asked}, code] of [
    [{ports: none, asked: bare.asked}, 'COPY_MISSING'],
    [moved, 'NOT_OWNER'],
  ] as const) {
    await expect(serve(ports, 'manifest', {...REQUEST, own: true})).rejects.toMatchObject({code});
    expect(asked).toEqual([]);
  }
  await serve(bare.ports, 'manifest', {...REQUEST, own: true});
  expect(bare.asked).toEqual([USER]);
});

test('where the user lives his mailbox is read while it is copied, elsewhere only after what came before', () => {
  const [here, elsewhere] = [hostAt('be1', null).ports, hostAt('be2', null).ports];
  expect(turnOf(here, 'manifest', USER)).toBe(turnOf(here, 'readTexts', USER));
  expect(turnOf(here, 'manifest', USER)).not.toBe(turnOf(here, 'copy', USER));
  for (const verb of ['manifest', 'readTexts', 'discard'] as const)
    expect(turnOf(elsewhere, verb, USER)).toBe(turnOf(elsewhere, 'copy', USER));
});

test('the disk is waited for by all at once, other questions of a host have their turns', () => {
  const {ports} = hostAt('be1', null);
  expect([turnOf(ports, 'persist', null), turnOf(ports, 'retry', null), turnOf(ports, 'mailboxes', null)]).toEqual([
    null,
    'retry',
    'mailboxes',
  ]);
});

test('a pass is ended by a command that does not wait for its turn; no other begins', async () => {
  const {ports} = hostAt('be1', null);
  const backup = (_user: string, _address: string, _full: boolean, signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
  const busy = {...ports, passes: new Passes(), running: new Running(), store: {...ports.store, backup}};
  const {folder: _, texts: __, ...ofMove} = REQUEST;
  const copy = {...ofMove, target: 'be2', targetAddress: 'be2', full: false, pass: 1};
  expect(turnOf(ports, 'abort', USER)).not.toBe(turnOf(ports, 'copy', USER));
  const pass = serve(busy, 'copy', copy);
  await expect(Promise.all([pass, serve(busy, 'abort', ofMove)])).rejects.toThrow('ended');
  await expect(serve(busy, 'copy', {...copy, pass: 2})).rejects.toMatchObject({code: 'COPY_FAILED'});
  expect(await serve(busy, 'abort', ofMove)).toEqual({ended: false});
  await expect(serve(busy, 'abort', {...ofMove, token: 0})).rejects.toMatchObject({code: 'TOKEN_STALE'});
});

test('a retained copy whose removal was interrupted is gone: looking would make an empty one, to be carried to its user', async () => {
  const {ports, asked} = hostAt('be2', {user: USER, moveId: REQUEST.moveId, kind: 'retained'});
  const gone = {...ports, store: {...ports.store, exists: async () => false}};
  await expect(serve(gone, 'manifest', REQUEST)).rejects.toMatchObject({code: 'COPY_MISSING'});
  expect(asked).toEqual([]);
});

test('where a user has left nobody of his works any more, and the copy is noted before that is waited for', async () => {
  const {ports} = hostAt('be2', null);
  const done: string[] = [];
  const left = {
    ...ports,
    clock: {now: () => 0},
    routes: {...ports.routes, reached: async () => undefined},
    memory: {...ports.memory, putCopy: async ({kind}: Copy) => void done.push(kind)},
    store: {forgetTexts: () => undefined, endSessions: async (user: string) => void done.push(user)},
  } as unknown as HostPorts;
  await serve(left, 'retain', {v: 1, token: 1, user: USER, moveId: REQUEST.moveId, revision: 1});
  expect(done).toEqual(['retained', USER]);
});

test('a command of an earlier coordinator is refused before anything is looked at, a later one is remembered first', async () => {
  const {ports, asked} = hostAt('be1', null);
  const noted: number[] = [];
  const at = (highest: number): HostPorts => {
    const rememberToken = async (token: number): Promise<void> => void noted.push(token);
    return {...ports, memory: {...ports.memory, highestToken: () => highest, rememberToken}} as HostPorts;
  };
  await expect(serve(at(7), 'manifest', {...REQUEST, token: 6})).rejects.toMatchObject({code: 'TOKEN_STALE'});
  expect([asked, noted]).toEqual([[], []]);
  await serve(at(7), 'manifest', {...REQUEST, token: 8});
  expect([asked, noted]).toEqual([[USER], [8]]);
});

test('a host whose clock is so far ahead that no hold is in force says so, and by how much', async () => {
  const {ports} = hostAt('be1', null);
  const now = 1_800_000_000_000;
  const routes = {...ports.routes, reached: async () => undefined};
  const at = {...ports, routes, clock: {now: () => now, monotonic: () => 0}} as unknown as HostPorts;
  const held = {v: 1 as const, token: 1, user: USER, moveId: REQUEST.moveId, revision: 1};
  const ahead = {code: 'CLOCK_AHEAD', detail: {user: USER, host: 'be1', aheadMs: 600_000}};
  await expect(serve(at, 'hold', {...held, storedAtMs: now - 600_000})).rejects.toMatchObject(ahead);
  await expect(serve(at, 'hold', {...held, storedAtMs: now - 599_999})).rejects.toMatchObject({code: 'HOLD_LOST'});
  await expect(serve(at, 'hold', held)).rejects.toMatchObject({code: 'HOLD_LOST'});
});

test('a mailbox that does not fit is refused before anything is noted', async () => {
  const {ports} = hostAt('be2', null);
  const noted: unknown[] = [];
  const full = {
    ...ports,
    store: {...ports.store, exists: async () => false, freeBytes: async () => 64 * MIB + 1_000},
    memory: {...ports.memory, putCopy: async (copy: unknown) => void noted.push(copy)},
  } as unknown as HostPorts;
  const room = {v: 1 as const, token: 1, user: USER, moveId: REQUEST.moveId, source: 'be2', needs: [], discard: []};
  const refused = {code: 'SPACE_LACKING', detail: {bytes: 1_001, besideBytes: 64 * MIB, freeBytes: 64 * MIB + 1_000}};
  await expect(serve(full, 'reserve', {...room, bytes: 1_001})).rejects.toMatchObject(refused);
  expect(noted).toEqual([]);
  await serve(full, 'reserve', {...room, bytes: 1_000});
  expect(noted).toHaveLength(1);
});

describe('a mailbox that uses what a host lacks', () => {
  const ofMove = {v: 1, token: 1, user: USER, moveId: REQUEST.moveId} as const;

  function hostWith(owner: string, offers: readonly string[]): HostPorts {
    const {ports} = hostAt(owner, null);
    return {
      ...ports,
      host: 'be1',
      store: {
        ...ports.store,
        needs: async () => ['acl'],
        offers: async () => offers,
        exists: async () => false,
        freeBytes: async () => 1e9,
      },
      memory: {...ports.memory, putCopy: async () => undefined},
    } as unknown as HostPorts;
  }

  test('is refused by its source, whose copies would be without it, and by the target, before anything is noted', async () => {
    const refused = {code: 'FEATURE_LACKING', detail: {user: USER, host: 'be1', lacking: ['acl']}};
    await expect(serve(hostWith('be1', []), 'needs', ofMove)).rejects.toMatchObject(refused);
    const room = {...ofMove, source: 'be2', bytes: 1, needs: ['acl' as const], discard: []};
    await expect(serve(hostWith('be2', ['crypt']), 'reserve', room)).rejects.toMatchObject(refused);
    expect(await serve(hostWith('be1', ['acl']), 'needs', ofMove)).toEqual({needs: ['acl']});
    expect(await serve(hostWith('be2', ['acl']), 'reserve', room)).toEqual({freeBytes: 1e9});
  });
});

test('a note of another move goes only where nothing has come after it, and nothing could have', async () => {
  const other = {user: USER, moveId: '00000000-0000-4000-8000-000000000002'};
  const reserved = async (copy: Copy, isThere: boolean): Promise<Copy[]> => {
    const {ports} = hostAt('be2', copy);
    const noted: Copy[] = [];
    const [remove, removeCopy] = [async () => 0, async () => undefined];
    const host = {
      ...ports,
      files: {end: async () => undefined},
      store: {...ports.store, exists: async () => isThere, freeBytes: async () => 1e9, endCopies: removeCopy, remove},
      memory: {...ports.memory, removeCopy, putCopy: async (next: Copy) => void noted.push(next)},
    } as unknown as HostPorts;
    const {v, token, user, moveId} = REQUEST;
    await serve(host, 'reserve', {v, token, user, moveId, source: 'be2', bytes: 1, needs: [], discard: []});
    return noted;
  };
  expect(await reserved({...other, kind: 'arriving'}, false)).toEqual([{user: USER, moveId: REQUEST.moveId, kind: 'arriving'}]);
  for (const [copy, isThere] of [
    [{...other, kind: 'arriving'}, true],
    [{...other, kind: 'arriving', seed: 'open'}, false],
    [{...other, kind: 'arriving', seed: 'closed'}, false],
    [{...other, kind: 'retained'}, false],
  ] as const)
    await expect(reserved(copy, isThere)).rejects.toMatchObject({code: 'COPY_UNKNOWN', detail: {kind: copy.kind}});
});

test('mailboxes are told in pages that a message holds, all at once to who knows no pages', async () => {
  const names = Array.from({length: 4_500}, (_, at) => `u${at}@example.org`);
  const here: number[] = [];
  const sizes = async (users: readonly string[], all: ReadonlySet<string>) => {
    here.push(all.size);
    return users.map(user => ({user, bytes: 1, messages: 1}));
  };
  const memory = {highestToken: () => 1};
  const ports = {memory, routes: {usersHere: () => [...names]}, store: {sizes}} as unknown as HostPorts;
  const told: string[] = [];
  let pages = 0;
  for (let after: string | null = ''; after !== null; pages++) {
    const answer: Answer<'mailboxes'> = await serve(ports, 'mailboxes', {v: 1, token: 1, after});
    told.push(...answer.mailboxes.map(({user}) => user));
    after = answer.next ?? null;
  }
  expect([pages, told]).toEqual([3, [...names].sort()]);
  expect((await serve(ports, 'mailboxes', {v: 1, token: 1})).mailboxes).toHaveLength(4_500);
  expect(new Set(here)).toEqual(new Set([4_500]));
});

test('a copy that is noted of who lives here is of somebody of that name who was removed: it is forgotten when he leaves', async () => {
  const {ports} = hostAt('be1', {user: USER, moveId: '00000000-0000-4000-8000-000000000002', kind: 'retained'});
  const forgotten: string[] = [];
  const noting = {
    ...ports,
    store: {...ports.store, needs: async () => []},
    memory: {...ports.memory, removeCopy: async (user: string) => void forgotten.push(user)},
  } as unknown as HostPorts;
  await serve(noting, 'needs', {v: 1, token: 1, user: USER, moveId: REQUEST.moveId});
  expect(forgotten).toEqual([USER]);
});

describe('of a mailbox that is not in its home', () => {
  const ofMove = {v: 1 as const, token: 1, user: USER, moveId: REQUEST.moveId};
  const room = {...ofMove, source: 'be2', bytes: 1, needs: [], discard: []};
  const changed: string[] = [];

  /** @param owner whose mailbox it is; be1 is asked. */
  function hostOf(owner: string, copy: Copy | null, outside: Partial<Outside>): HostPorts {
    const {ports} = hostAt(owner, copy);
    changed.length = 0;
    const store = {
      ...ports.store,
      exists: async () => false,
      outside: async () => ({...WHOLE, ...outside}),
      freeBytes: async () => 1e9,
      needs: async () => [],
      endCopies: async () => undefined,
      remove: async () => changed.push('removed'),
    };
    const memory = {...ports.memory, putCopy: async () => void changed.push('noted'), removeCopy: async () => undefined};
    return {...ports, store, memory, files: {end: async () => undefined}} as unknown as HostPorts;
  }
  const refused = (...paths: string[]): object => ({code: 'MAIL_ELSEWHERE', detail: {user: USER, host: 'be1', paths}});

  test('neither end moves the mail itself elsewhere: nothing of what is asked of a home would be true', async () => {
    await expect(serve(hostOf('be1', null, {mail: '/mail/ada'}), 'needs', ofMove)).rejects.toMatchObject(refused('/mail/ada'));
    await expect(serve(hostOf('be2', null, {mail: '/mail/ada'}), 'reserve', room)).rejects.toMatchObject(refused('/mail/ada'));
    expect(changed).toEqual([]);
  });

  test('indexes elsewhere move, and what is there of them already is in no way', async () => {
    expect(await serve(hostOf('be1', null, {goes: ['/idx/ada']}), 'needs', ofMove)).toEqual({needs: []});
    expect(await serve(hostOf('be2', null, {goes: ['/idx/ada'], stays: ['/alt']}), 'reserve', room)).toEqual({freeBytes: 1e9});
  });

  test('a retained copy goes whole or not at all; a copy that did not become one goes as far as it can', async () => {
    const copy = (kind: Copy['kind']): Copy => ({user: USER, moveId: REQUEST.moveId, kind});
    await expect(serve(hostOf('be2', copy('retained'), {stays: ['/alt']}), 'discard', ofMove)).rejects.toMatchObject(refused('/alt'));
    expect(changed).toEqual([]);
    await serve(hostOf('be2', copy('retained'), {goes: ['/idx/ada']}), 'discard', ofMove);
    expect(changed).toEqual(['removed']);
    await serve(hostOf('be2', copy('arriving'), {stays: ['/alt']}), 'discard', ofMove);
    expect(changed).toEqual(['removed']);
  });
});

test('what is read of a copy for its move is ended for who removes the copy, and for no leader of before', async () => {
  const {ports: bare} = hostAt('be2', {user: USER, moveId: REQUEST.moveId, kind: 'arriving'});
  const readTexts = (_user: string, signal: AbortSignal): Promise<number> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
  const ports = {...bare, running: new Running(), store: {...bare.store, readTexts}};
  const seen: string[] = [];
  const read = serve(ports, 'readTexts', REQUEST).catch(({message}) => seen.push(message));
  expect(() => endReading(ports, {...REQUEST, token: 0})).toThrow(expect.objectContaining({code: 'TOKEN_STALE'}));
  endReading(ports, {...REQUEST, moveId: '00000000-0000-4000-8000-000000000002'});
  await new Promise(resolve => setTimeout(resolve, 5));
  expect(seen).toEqual([]);
  endReading(ports, REQUEST);
  await read;
  expect(seen).toEqual(['ended']);
});
