import {execFileSync} from 'node:child_process';
import {expect, test} from 'vitest';
import {fitsTar, tarEnd, tarMember} from '../../../../agent/move/seed-tar.ts';

test('archives are what tar reads, names of more than 100 bytes as well', () => {
  const long = `.${'f'.repeat(120)}/cur/${'m'.repeat(90)}`;
  const archive = Buffer.concat([tarMember('cur', null, 0), tarMember('cur/a', 'hello\n', 86_400), tarMember(long, '', 0), tarEnd()]);
  const listed = execFileSync('tar', ['--list', '--verbose', '--utc', '--numeric-owner', '--file=-'], {input: archive, encoding: 'utf8'});
  expect(listed.trim().split('\n')).toEqual([
    expect.stringMatching(/^drwx------ 0\/0 +0 1970-01-01 00:00 cur\/?$/),
    expect.stringMatching(/^-rw------- 0\/0 +6 1970-01-02 00:00 cur\/a$/),
    expect.stringContaining(long),
  ]);
  expect(() => tarMember(`cur/${'m'.repeat(101)}`, '', 0)).toThrow(/too long/);
  expect([long, `cur/${'m'.repeat(100)}`, `cur/${'m'.repeat(101)}`, `.${'f'.repeat(155)}/cur`].map(fitsTar)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
