import {afterEach, describe, expect, test} from 'vitest';
import type {MoveContext} from '../../coordinator/move/asks.ts';
import type {MovePorts} from '../../coordinator/move/move-ports.ts';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {Verb} from '../../wire/command.ts';
import {simulate} from './run.ts';

/** Ways to get the protocol wrong; each must break an invariant within a few seeds, or the simulation proves nothing. */
const MUTANTS: Record<string, () => void> = {
  'no hold: copy, then flip': () => {
    STEPS.holding.run = async (context, record) => {
      context.heldSince = context.ports.clock.monotonic();
      const stored = await context.ports.readRoute(record.user);
      const storedAtMs = stored?.storedAtMs ?? 0;
      return {
        ...record,
        step: 'finalizing',
        routeRevision: stored?.revision ?? null,
        hold: {heldAtMs: storedAtMs, deadlineMs: storedAtMs + 25_000, spanMs: 30_000},
      };
    };
  },
  'no final pass, no verification': () => {
    STEPS.finalizing.run = async (_context, record) => ({...record, step: 'flipping', verified: {digest: '', messages: 0, folders: 0}});
  },
  'the flip has no deadline': () => {
    const {run} = STEPS.holding;
    STEPS.holding.run = async (context, record) => {
      const next = await run(context, record);
      return next.hold === null ? next : {...next, hold: {...next.hold, deadlineMs: Number.MAX_SAFE_INTEGER}};
    };
  },
  'the copy is not put on disk before the flip': () => {
    for (const name of ['copying', 'verifying'] as const) {
      const {run} = STEPS[name];
      STEPS[name].run = (context, record) => run(without(context, 'persist', {tookMs: 0}), record);
    }
  },
  'texts are not compared': () => {
    for (const name of ['finalizing', 'verifying'] as const) {
      const {run} = STEPS[name];
      STEPS[name].run = (context, record) => run(blind(context), record);
    }
  },
  'back out without clearing the route': () => {
    STEPS.backingOut.run = async (_context, record) => ({...record, step: 'backedOut'});
  },
  'purge without looking for late mail': () => {
    STEPS.retaining.run = async (_context, record) => ({...record, step: 'retained'});
    STEPS.purging.run = async (context, record) => {
      await context.ports.command(
        record.source,
        'discard',
        {v: 1, token: context.ports.token(), moveId: record.id, user: record.user},
        10_000,
      );
      return {...record, step: 'purged'};
    };
  },
};

/** The context with one command that does nothing. */
function without(context: MoveContext, verb: Verb, answer: object): MoveContext {
  const command: MovePorts['command'] = (host, asked, request, timeoutMs) =>
    asked === verb ? Promise.resolve(answer as never) : context.ports.command(host, asked, request, timeoutMs);
  return commanding(context, command);
}

function commanding(context: MoveContext, command: MovePorts['command']): MoveContext {
  return new Proxy(context, {get: (from, key) => (key === 'ports' ? {...from.ports, command} : Reflect.get(from, key))});
}

/** The context in which any two mailboxes have the same texts. */
function blind(context: MoveContext): MoveContext {
  const command: MovePorts['command'] = async (host, verb, request, timeoutMs) => {
    const answer = await context.ports.command(host, verb, request, timeoutMs);
    if ('manifest' in answer) for (const folder of answer.manifest.folders) folder.texts = '';
    return answer;
  };
  return commanding(context, command);
}

const SEEDS = 400;
const ORIGINAL = structuredCloneOfRuns();

function structuredCloneOfRuns(): Map<string, (typeof STEPS)['copying']['run']> {
  return new Map(Object.entries(STEPS).map(([name, {run}]) => [name, run]));
}

afterEach(() => {
  for (const [name, run] of ORIGINAL) STEPS[name as keyof typeof STEPS].run = run;
});

describe('a wrong protocol is caught', () => {
  test.each(Object.keys(MUTANTS))('%s', {timeout: 120_000}, async name => {
    MUTANTS[name]?.();
    let caughtAt: number | null = null;
    for (let seed = 1; seed <= SEEDS && caughtAt === null; seed++) {
      if ((await simulate(seed)).violations.length > 0) caughtAt = seed;
    }
    expect(caughtAt, `no seed of ${SEEDS} notices`).not.toBeNull();
  });
});
