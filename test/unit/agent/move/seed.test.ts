import {describe, expect, test} from 'vitest';
import type {Copy, HostPorts, SeedTerms} from '../../../../agent/move/host-ports.ts';
import {receiveSeed} from '../../../../agent/move/seed.ts';
import {serve} from '../../../../agent/move/serve.ts';

const USER = 'ada@farm.example';
const MOVE = '00000000-0000-4000-8000-000000000001';
const REQUEST = {v: 1, token: 1, user: USER, moveId: MOVE, address: '10.0.0.2', bytes: 1_000, open: true} as const;

/** A target whose disk is two variables. */
class Target {
  copy: Copy | null = {user: USER, moveId: MOVE, kind: 'arriving'};
  isHomeThere = false;
  hasJustCome = false;
  readonly done: string[] = [];
  terms: SeedTerms | null = null;
  readonly ports = {
    host: 'be2',
    clock: {monotonic: () => 0},
    routes: {row: () => ({user: USER, host: 'be1', generation: 1, heldUntil: 0, heldTarget: null})},
    memory: {
      highestToken: () => 1,
      copy: () => this.copy,
      putCopy: async (copy: Copy) => {
        this.copy = copy;
        this.done.push(`noted ${copy.seed}`);
      },
      removeCopy: async () => {
        this.copy = null;
      },
    },
    store: {
      endCopies: async () => {
        this.done.push('passes ended');
      },
      exists: async () => this.isHomeThere,
      outside: async () => ({mail: null, goes: [], stays: []}),
      freeBytes: async () => 1e9,
      remove: async () => {
        this.isHomeThere = false;
        this.done.push('removed');
        return 0;
      },
    },
    files: {
      offer: async (terms: SeedTerms) => {
        this.terms = terms;
        this.done.push('offered');
        return {address: terms.address, port: 1, secret: 's'};
      },
      end: async () => {
        this.done.push('ended');
      },
      hasJustCome: async () => {
        const {hasJustCome} = this;
        this.hasJustCome = false;
        return hasJustCome;
      },
      persist: async () => {
        this.done.push('on disk');
      },
    },
  } as unknown as HostPorts;
}

describe('a target', () => {
  test('notes that it is open before it offers, and closed once the seed has arrived', async () => {
    const target = new Target();
    expect((await receiveSeed(target.ports, REQUEST)).offer).toEqual({address: '10.0.0.2', port: 1, secret: 's'});
    expect(target.done).toEqual(['passes ended', 'ended', 'noted open', 'offered']);
    await target.terms?.arrived();
    expect(target.copy?.seed).toBe('closed');
    expect((await receiveSeed(target.ports, REQUEST)).offer).toBeNull();
    expect(target.done).not.toContain('removed');
  });

  test('removes what an interrupted seed left, and begins again', async () => {
    const target = new Target();
    target.copy = {user: USER, moveId: MOVE, kind: 'arriving', seed: 'open'};
    target.isHomeThere = true;
    expect(await receiveSeed(target.ports, REQUEST)).toMatchObject({offer: {port: 1}, emptied: true});
    expect(target.done).toEqual(['passes ended', 'ended', 'removed', 'noted open', 'offered']);
  });

  test('removes it too when no seed shall come any more, and never opens again', async () => {
    const target = new Target();
    target.copy = {user: USER, moveId: MOVE, kind: 'arriving', seed: 'open'};
    target.isHomeThere = true;
    expect(await receiveSeed(target.ports, {...REQUEST, open: false})).toEqual({offer: null, emptied: true});
    expect(await receiveSeed(target.ports, REQUEST)).toEqual({offer: null});
    expect(target.done).toEqual(['passes ended', 'ended', 'removed', 'noted closed', 'passes ended', 'ended']);
  });

  test('lets passes begin while a seed that has come goes to disk, and tells of no copy on disk until that is noted', async () => {
    const target = new Target();
    target.copy = {user: USER, moveId: MOVE, kind: 'arriving', seed: 'open'};
    target.isHomeThere = true;
    target.hasJustCome = true;
    expect((await receiveSeed(target.ports, {...REQUEST, open: false})).offer).toBeNull();
    expect(target.done).toEqual([]);
    const persist = {v: 1 as const, token: 1, users: [USER]};
    await expect(serve(target.ports, 'persist', persist)).rejects.toMatchObject({code: 'COPY_FAILED'});
    target.copy = {...target.copy, seed: 'closed'};
    await serve(target.ports, 'persist', persist);
    expect(target.done).toEqual(['on disk', 'on disk']);
    // Before a second pass what the first one left is ended, and the seed waited for.
    expect((await receiveSeed(target.ports, {...REQUEST, open: false})).offer).toBeNull();
    expect(target.done.slice(2)).toEqual(['passes ended', 'ended']);
  });

  test('takes no seed where something lies already', async () => {
    const target = new Target();
    target.isHomeThere = true;
    expect((await receiveSeed(target.ports, REQUEST)).offer).toBeNull();
    expect(target.done).toEqual(['passes ended', 'ended', 'noted closed']);
  });

  test('takes none for a move it did not reserve for, nor into a retained copy, nor once the user lives there', async () => {
    const target = new Target();
    for (const [copy, code] of [
      [null, 'COPY_MISSING'],
      [{user: USER, moveId: '00000000-0000-4000-8000-000000000002', kind: 'arriving'}, 'COPY_UNKNOWN'],
      [{user: USER, moveId: MOVE, kind: 'retained'}, 'COPY_UNKNOWN'],
    ] as const) {
      target.copy = copy;
      await expect(receiveSeed(target.ports, REQUEST)).rejects.toMatchObject({code});
    }
    const owner = {...target.ports, host: 'be1'};
    await expect(serve(owner, 'receive', REQUEST)).rejects.toMatchObject({code: 'STILL_OWNER'});
    expect(target.done).toEqual([]);
  });

  test('ends a seed before the copy it writes is removed, and a repeated reservation forgets nothing of it', async () => {
    const target = new Target();
    target.copy = {user: USER, moveId: MOVE, kind: 'arriving', seed: 'closed'};
    await serve(target.ports, 'reserve', {v: 1, token: 1, user: USER, moveId: MOVE, source: 'be1', bytes: 1, needs: [], discard: []});
    expect(target.copy?.seed).toBe('closed');
    await serve(target.ports, 'discard', {v: 1, token: 1, user: USER, moveId: MOVE});
    expect(target.done).toEqual(['ended', 'passes ended', 'removed']);
  });
});
