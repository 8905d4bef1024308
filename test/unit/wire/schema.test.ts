import Type from 'typebox';
import {expect, test} from 'vitest';
import {parse} from '../../../wire/codec.ts';
import {UserName, WrittenUserName} from '../../../wire/schema.ts';

test.each(['ada', 'ada@example.org', '.ada@example.org', 'a..b@example.org', '...@example.org', 'ada@x'])('%s is a name', name => {
  expect([parse(UserName, name, 'name'), parse(WrittenUserName, name, 'name')]).toEqual([name, name]);
});

test.each(['.', '..', '.@example.org', '..@example.org', '@example.org', 'ada@', 'ada@.', 'ada@..', '-ada', 'a/da', 'a*', 'a b'])(
  '%s is none: its home would be somebody else’s, or many',
  name => {
    for (const schema of [UserName, WrittenUserName]) expect(() => parse(schema, name, 'name')).toThrow(/INPUT_INVALID/);
  },
);

test('a name has at most 255 bytes, whatever its characters: files are named after it', () => {
  for (const schema of [UserName, WrittenUserName]) {
    for (const name of ['a'.repeat(255), `${'ä'.repeat(121)}@example.org`]) expect(parse(schema, name, 'name')).toBe(name);
    for (const name of ['a'.repeat(256), `${'ä'.repeat(122)}@example.org`, '𝔞'.repeat(64)])
      expect(() => parse(schema, name, 'name')).toThrow(/INPUT_INVALID/);
  }
  // In small letters it has three bytes more than written.
  expect(() => parse(WrittenUserName, `${'Ⱥ'.repeat(3)}${'a'.repeat(249)}`, 'name')).toThrow(/255 bytes/);
  expect(() => parse(Type.Object({users: Type.Array(UserName)}), {users: ['ä'.repeat(200)]}, 'names')).toThrow(/255 bytes/);
});
