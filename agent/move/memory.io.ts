import {closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import Type from 'typebox';
import {MIB} from '../../base/units.ts';
import {decode} from '../../wire/codec.ts';
import {MoveId, Token, UserName} from '../../wire/schema.ts';
import type {Copy, HostPorts} from './host-ports.ts';

/** Twice what some hundred copies take; where there are more, twice what they take. */
const RESERVE_BYTES_MIN = MIB / 4;

const Memory = Type.Object({
  v: Type.Literal(1),
  token: Token,
  copies: Type.Array(
    Type.Object({
      user: UserName,
      moveId: MoveId,
      kind: Type.Union([Type.Literal('arriving'), Type.Literal('retained')]),
      seed: Type.Optional(Type.Union([Type.Literal('open'), Type.Literal('closed')])),
    }),
  ),
});

/**
 * What this host must not forget about moves, in one small file that is replaced as a whole: written beside, fsynced, renamed,
 * directory fsynced. Room for it is set aside: on a full disk the command that frees it, to discard a copy under a newer token, must be
 * noted first. @throws MailherdError INPUT_INVALID when the file is damaged: then nobody may guess, a person must look.
 */
export function openMoveMemory(stateDir: string): HostPorts['memory'] {
  const path = join(stateDir, 'moves.json');
  const reserve = join(stateDir, 'moves.reserve');
  mkdirSync(stateDir, {recursive: true, mode: 0o700});
  let token = 0;
  let copies: ReadonlyMap<string, Copy> = new Map();
  if (existsSync(path)) {
    const memory = decode(Memory, readFileSync(path), path);
    token = memory.token;
    copies = new Map(memory.copies.map(copy => [copy.user, copy]));
  }

  setAside(reserve, existsSync(path) ? statSync(path).size : 0);

  /** What a full disk did not take is not known here either: a command that comes again must try to note it again. */
  function save(nextToken: number, nextCopies: ReadonlyMap<string, Copy>): void {
    const text = JSON.stringify({v: 1, token: nextToken, copies: [...nextCopies.values()]});
    try {
      replace(stateDir, path, text);
    } catch (error) {
      if (!isFull(error) || !existsSync(reserve)) throw error;
      rmSync(reserve);
      replace(stateDir, path, text);
    }
    [token, copies] = [nextToken, nextCopies];
    setAside(reserve, Buffer.byteLength(text));
  }

  return {
    highestToken: () => token,
    rememberToken: async next => save(Math.max(token, next), copies),
    copies: () => [...copies.values()],
    copy: user => copies.get(user) ?? null,
    putCopy: async copy => save(token, new Map(copies).set(copy.user, copy)),
    removeCopy: async user => save(token, new Map([...copies].filter(([known]) => known !== user))),
  };
}

function replace(stateDir: string, path: string, text: string): void {
  const beside = `${path}.new`;
  flushed(openSync(beside, 'w', 0o600), file => writeFileSync(file, text));
  renameSync(beside, path);
  flushed(openSync(stateDir, 'r'));
}

/** Where there is no room to set aside, the next note tries again. @param bytes of the file that may have to be written anew. */
function setAside(reserve: string, bytes: number): void {
  const present = existsSync(reserve) ? statSync(reserve).size : 0;
  if (present >= Math.max(RESERVE_BYTES_MIN, bytes)) return;
  try {
    flushed(openSync(reserve, 'w', 0o600), file => writeFileSync(file, Buffer.alloc(Math.max(RESERVE_BYTES_MIN, 2 * bytes))));
  } catch (error) {
    rmSync(reserve, {force: true});
    if (!isFull(error)) throw error;
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

function flushed(file: number, write: (file: number) => void = () => undefined): void {
  try {
    write(file);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
