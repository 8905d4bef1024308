import {expect, test} from 'vitest';
import {SharedRun} from '../../../../agent/move/shared-run.ts';
import {settle} from '../../coordinator/fakes.ts';

/** Runs that end when told to. */
class Runs {
  readonly ends: ((error?: Error) => void)[] = [];
  readonly shared = new SharedRun(
    () => new Promise((resolve, reject) => this.ends.push(error => (error === undefined ? resolve() : reject(error)))),
  );
}

test('who asks while it runs is served by the next run, together with all others', async () => {
  const runs = new Runs();
  const done: string[] = [];
  const ask = (name: string): void => void runs.shared.run().then(() => done.push(name));
  ask('first');
  for (const name of ['a', 'b', 'c']) ask(name);
  await settle();
  expect([runs.ends.length, done]).toEqual([1, []]);
  runs.ends[0]?.();
  await settle();
  expect([runs.ends.length, done]).toEqual([2, ['first']]);
  // What was written since the second began is not in it.
  ask('late');
  runs.ends[1]?.();
  await settle();
  expect([runs.ends.length, done]).toEqual([3, ['first', 'a', 'b', 'c']]);
  runs.ends[2]?.();
  await settle();
  ask('alone');
  expect([runs.ends.length, done]).toEqual([4, ['first', 'a', 'b', 'c', 'late']]);
});

test('a run that fails fails for those it was for', async () => {
  const runs = new Runs();
  const [first, second] = [runs.shared.run(), runs.shared.run()];
  const failed = expect(first).rejects.toThrow('disk');
  runs.ends[0]?.(new Error('disk'));
  await failed;
  await settle();
  runs.ends[1]?.();
  await second;
});
