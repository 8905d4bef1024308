import {closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import Type from 'typebox';
import {decode} from '../../wire/codec.ts';
import {MoveId, Token, UserName} from '../../wire/schema.ts';
import type {Copy, HostPorts} from './host-ports.ts';

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
 * directory fsynced. @throws MailherdError INPUT_INVALID when the file is damaged: then nobody may guess, a person must look.
 */
export function openMoveMemory(stateDir: string): HostPorts['memory'] {
  const path = join(stateDir, 'moves.json');
  mkdirSync(stateDir, {recursive: true, mode: 0o700});
  let token = 0;
  const copies = new Map<string, Copy>();
  if (existsSync(path)) {
    const memory = decode(Memory, readFileSync(path), path);
    token = memory.token;
    for (const copy of memory.copies) copies.set(copy.user, copy);
  }

  function save(): void {
    const beside = `${path}.new`;
    const file = openSync(beside, 'w', 0o600);
    writeSync(file, JSON.stringify({v: 1, token, copies: [...copies.values()]}));
    fsyncSync(file);
    closeSync(file);
    renameSync(beside, path);
    const directory = openSync(stateDir, 'r');
    fsyncSync(directory);
    closeSync(directory);
  }

  return {
    highestToken: () => token,
    rememberToken: async next => {
      token = Math.max(token, next);
      save();
    },
    copies: () => [...copies.values()],
    copy: user => copies.get(user) ?? null,
    putCopy: async copy => {
      copies.set(copy.user, copy);
      save();
    },
    removeCopy: async user => {
      copies.delete(user);
      save();
    },
  };
}
