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
