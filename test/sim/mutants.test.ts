import {afterEach, describe, expect, test} from 'vitest';
import {Passes} from '../../agent/move/admit.ts';
import type {HostPorts} from '../../agent/move/host-ports.ts';
import type {MoveContext} from '../../coordinator/move/asks.ts';
import type {MovePorts} from '../../coordinator/move/move-ports.ts';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {Answer, Request, Verb} from '../../wire/command.ts';
import type {MoveStep} from '../../wire/record.ts';
import {AGENT} from './agent.ts';
import {Mailbox} from './mailbox.ts';
import {simulate} from './run.ts';

/** Ways to get the coordinator's side of the protocol wrong; each must break an invariant within a few seeds, or the simulation proves nothing. */
const COORDINATOR: Record<string, () => void> = {
  'no hold: copy, then flip': () => {
    // It would see that nothing is held.
    skipLook();
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
  'purge without asking where the user lives now': () => believeOwner(false),
  'purge whatever is found where the user lives now': () => believeOwner(true),
  'flip before it is proved': () => {
    STEPS.verifying.run = async (_context, record) => ({...record, step: 'flipping', verified: {digest: '', messages: 0, folders: 0}});
  },
  'one more pass after the proof': () => {
    around('verifying', async (context, record, run) => {
      const next = await run(context, record);
      context.passes++;
      const {user, id: moveId, source, target} = record;
      const request = {
        v: 1 as const,
        token: context.ports.token(),
        moveId,
        user,
        target,
        targetAddress: target,
        full: true,
        pass: context.passes,
      };
      await context.ports.command(source, 'copy', request, 10_000);
      return next;
    });
  },
  'no last look before the flip': skipLook,
  'backing out leaves the copy': () => {
    around('backingOut', (context, record, run) => run(without(context, 'discard', {removedBytes: 0}), record));
  },
  'the copy is never adopted': () => {
    around('adopting', (context, record, run) => run(without(context, 'adopt', {appliedAtMs: 0}), record));
  },
  'the copy at the source is not retained': () => {
    around('retaining', (context, record, run) => run(without(context, 'retain', {appliedAtMs: 0}), record));
  },
  'purge at once': () => {
    around('retaining', async (context, record, run) => {
      const next = await run(context, record);
      return next.step === 'retained' ? STEPS.purging.run(context, next) : next;
    });
  },
};

/** Late mail is carried as if nobody had deleted anything since. */
function mergeBlindly(): void {
  const {mergeFrom} = Mailbox.prototype;
  Mailbox.prototype.mergeFrom = function (source) {
    this.expunged.clear();
    return mergeFrom.call(this, source);
  };
}

/** The same of the agent's side. */
const AGENT_SIDE: Record<string, () => void> = {
  'no fence: who is held is served on': () => {
    AGENT.mayServe = (host, row) => row.host === host.name;
  },
  'a backend serves whomever it has a mailbox of': () => {
    AGENT.mayServe = (host, row) => host.mailboxes.has(row.user) && row.heldUntil <= host.wallSeconds();
  },
  'the fence falls with the hold, without asking whether a flip was stored': () => {
    AGENT.isHoldOver = () => true;
  },
  'the fence falls before the hold is over': () => {
    const {rowOf} = AGENT;
    AGENT.rowOf = (route, storedAtMs, now, self) => {
      const row = rowOf(route, storedAtMs, now, self);
      return row.heldUntil === 0 ? row : {...row, heldUntil: now / 1_000 + 0.3};
    };
  },
  'a hold never ends by itself': () => {
    AGENT.isHoldOver = () => false;
  },
  'a flip that came too late is followed': () => {
    const {rowOf} = AGENT;
    AGENT.rowOf = (route, storedAtMs, now, self) =>
      rowOf(route.flip === null ? route : {...route, flip: {...route.flip, deadlineMs: Number.MAX_SAFE_INTEGER}}, storedAtMs, now, self);
  },
  'routes are applied as they come': () => {
    AGENT.hear = (world, host, entry) => {
      if (!host.isAgentUp || host.isCut || !world.isNatsUp) return;
      host.appliedRevision = 0;
      host.apply(entry);
    };
  },
  'the hold is answered before it is in force': () => {
    AGENT.equip = ports => ({
      ...ports,
      routes: {...ports.routes, reached: async () => undefined, row: user => heldFor(ports, user)},
    });
  },
  'sessions are not ended': () => {
    AGENT.equip = ports => ({...ports, store: {...ports.store, endSessions: async () => 0}});
  },
  'what a pass began at the target is not ended with it': () => {
    AGENT.equip = ports => ({...ports, store: {...ports.store, endCopies: async () => undefined}});
  },
  'that the copy is on disk is told before it is': () => {
    AGENT.equip = (ports, host) => ({
      ...ports,
      files: {
        ...ports.files,
        persist: async users => {
          void ports.clock.sleep(20_000).then(() => users.map(user => host.persist(user)));
        },
      },
    });
  },
  'a pass is answered before it is done': () => {
    answering('copy', async (ports, request) => {
      void AGENT_ORIGINAL.serve(ports, 'copy', request).catch(() => undefined);
      return {tookMs: 1, again: false};
    });
  },
  'a pass that comes late is run': () => {
    AGENT.equip = ports => ({...ports, passes: new Passes()});
  },
  'a pass is run whoever the user lives with': () => {
    answering('copy', async (ports, {user, targetAddress, full}) => ({
      tookMs: 1,
      ...(await ports.store.backup(user, targetAddress, full, new AbortController().signal)),
    }));
  },
  'a coordinator of the past is obeyed': () => {
    AGENT.equip = ports => ({...ports, memory: {...ports.memory, highestToken: () => 0}});
  },
  'a copy is removed without a look at whose it is': () => {
    answering('discard', async (ports, {user}) => {
      await ports.store.remove(user);
      await ports.memory.removeCopy(user);
      return {removedBytes: 0};
    });
  },
  'a copy of unknown origin is taken over': () => {
    answering('reserve', async (ports, {user, moveId}) => {
      await ports.memory.putCopy({user, moveId, kind: 'arriving'});
      return {freeBytes: 1e12};
    });
  },
  'what was noted of copies is forgotten by a restart': () => {
    AGENT.equip = (ports, host) => {
      if (host.life > 0) host.copies.clear();
      return ports;
    };
  },
  'late mail brings back what was deleted since': mergeBlindly,
};

/** Of the mailbox's own host it is believed, if it answers at all (`isAsked`), that it has what the copy has. */
function believeOwner(isAsked: boolean): void {
  around('purging', (context, record, run) => {
    const command: MovePorts['command'] = async (host, verb, request, timeoutMs) => {
      if (!('own' in request)) return context.ports.command(host, verb, request, timeoutMs);
      if (isAsked) await context.ports.command(host, verb, request, timeoutMs);
      const {own: _, ...ofCopy} = request;
      return context.ports.command(record.source, verb, ofCopy as typeof request, timeoutMs);
    };
    return run(having(context, {command}), record);
  });
}

/** The source is not asked again before the flip. */
function skipLook(): void {
  around('verifying', (context, record, run) => {
    const command: MovePorts['command'] = async (host, verb, request, timeoutMs) =>
      verb === 'hold'
        ? ({tookMs: 0, sessions: 0, folders: context.source?.folders} as never)
        : context.ports.command(host, verb, request, timeoutMs);
    return run(having(context, {command}), record);
  });
}

type Run = (typeof STEPS)['copying']['run'];

/** Replaces a step by something around it. */
function around(name: MoveStep, work: (context: MoveContext, record: Parameters<Run>[1], run: Run) => ReturnType<Run>): void {
  const {run} = STEPS[name];
  STEPS[name].run = (context, record) => work(context, record, run);
}

/** The agent answers one command otherwise. */
function answering<V extends Verb>(verb: V, work: (ports: HostPorts, request: Request<V>) => Promise<Answer<V>>): void {
  AGENT.serve = (async (ports: HostPorts, asked: Verb, request: never) =>
    asked === verb ? work(ports, request) : AGENT_ORIGINAL.serve(ports, asked, request)) as typeof AGENT.serve;
}

/** The row of a user who lives here, as if he were held. */
function heldFor(ports: HostPorts, user: string): ReturnType<HostPorts['routes']['row']> {
  const row = ports.routes.row(user);
  return row === null ? null : {...row, heldUntil: Number.MAX_SAFE_INTEGER};
}

/** The context with some ports replaced. */
function having(context: MoveContext, ports: Partial<MovePorts>): MoveContext {
  return new Proxy(context, {get: (from, key) => (key === 'ports' ? {...from.ports, ...ports} : Reflect.get(from, key))});
}

/** The context with one command that does nothing. */
function without(context: MoveContext, verb: Verb, answer: object): MoveContext {
  const command: MovePorts['command'] = (host, asked, request, timeoutMs) =>
    asked === verb ? Promise.resolve(answer as never) : context.ports.command(host, asked, request, timeoutMs);
  return having(context, {command});
}

/** The context in which any two mailboxes have the same texts. */
function blind(context: MoveContext): MoveContext {
  const command: MovePorts['command'] = async (host, verb, request, timeoutMs) => {
    const answer = await context.ports.command(host, verb, request, timeoutMs);
    if ('manifest' in answer) for (const folder of answer.manifest.folders) folder.texts = '';
    return answer;
  };
  return having(context, {command});
}

const SEEDS = Number(process.env.MAILHERD_MUTANT_SEEDS ?? 1_000);
const STEP_RUNS = new Map(Object.entries(STEPS).map(([name, {run}]) => [name as MoveStep, run]));
const AGENT_ORIGINAL = {...AGENT};
const {mergeFrom: MERGE} = Mailbox.prototype;

afterEach(() => {
  for (const [name, run] of STEP_RUNS) STEPS[name].run = run;
  Object.assign(AGENT, AGENT_ORIGINAL);
  Mailbox.prototype.mergeFrom = MERGE;
});

describe.each([
  ['the coordinator', COORDINATOR],
  ['the agent', AGENT_SIDE],
])('a wrong protocol is caught: %s', (_side, mutants) => {
  test.each(Object.keys(mutants))('%s', {timeout: 300_000}, async name => {
    mutants[name]?.();
    let caughtAt: number | null = null;
    for (let seed = 1; seed <= SEEDS && caughtAt === null; seed++) {
      if ((await simulate(seed)).violations.length > 0) caughtAt = seed;
    }
    expect(caughtAt, `no seed of ${SEEDS} notices`).not.toBeNull();
    if (process.env.MAILHERD_MUTANTS !== undefined) process.stderr.write(`${name}: seed ${caughtAt}\n`);
  });
});
