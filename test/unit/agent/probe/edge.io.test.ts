import {expect, test} from 'vitest';
import {bestLogin} from '../../../../agent/probe/edge.io.ts';
import type {ProbeOutcome} from '../../../../agent/probe/tally.ts';

const took = (tookMs: number): ProbeOutcome => ({probe: 'login', ok: true, tookMs});
const FAILED: ProbeOutcome = {probe: 'login', ok: false, reason: 'no answer'};

/** Backends that answer like that, one after the other. */
async function ask(...answers: ProbeOutcome[]): Promise<{outcome: ProbeOutcome | null; asked: string[]}> {
  const asked: string[] = [];
  const turns = {
    backendCount: answers.length,
    next: () => {
      asked.push(`be${asked.length + 1}`);
      return asked.at(-1) ?? null;
    },
  };
  const outcome = await bestLogin(turns, 'probe@ed1.mailherd.invalid', () => Promise.resolve(answers[asked.length - 1] ?? FAILED));
  return {outcome, asked};
}

test('a backend that answers well is all that is asked', async () => {
  expect(await ask(took(20), took(5))).toEqual({outcome: took(20), asked: ['be1']});
});

test('what one backend does is not the edge: others are asked, and the best of them counts', async () => {
  expect(await ask(FAILED, took(30))).toEqual({outcome: took(30), asked: ['be1', 'be2']});
  expect(await ask(took(4_000), took(2_000), took(3_000))).toEqual({outcome: took(2_000), asked: ['be1', 'be2', 'be3']});
  expect((await ask(took(4_000), FAILED, FAILED)).outcome).toEqual(took(4_000));
});

test('no more than three are asked; that none answers is a failure, and says who was asked first', async () => {
  const {outcome, asked} = await ask(FAILED, FAILED, FAILED, took(1));
  expect(asked).toHaveLength(3);
  expect(outcome).toEqual({...FAILED, reason: 'be1: no answer'});
});

test('with no backend known nothing was tried; without turns the login goes where the last one went', async () => {
  expect((await ask()).outcome).toBeNull();
  expect(await bestLogin(null, 'x', () => Promise.resolve(took(7)))).toEqual(took(7));
});
