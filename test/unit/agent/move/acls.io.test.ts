import {expect, test} from 'vitest';
import {AclReader} from '../../../../agent/move/acls.io.ts';
import type {MailPlaces} from '../../../../agent/move/seed-place.io.ts';

test('what was known of users long ago is forgotten: every purge looks at one more', async () => {
  const asked: string[] = [];
  const of = async (user: string): Promise<object> => {
    asked.push(user);
    return {home: `/m/${user}`, inbox: `/m/${user}/Maildir`, control: `/m/${user}/Maildir`};
  };
  const reader = new AclReader({of, offered: async () => []} as unknown as MailPlaces);
  const users = Array.from({length: 300}, (_, at) => `u${at}@example.org`);
  for (const user of users) await reader.unrestricted(user);
  for (const user of users.slice(-200)) await reader.unrestricted(user);
  expect(asked).toEqual(users);
  await reader.unrestricted('u0@example.org');
  expect(asked).toHaveLength(301);
});
