import {once} from 'node:events';
import {setImmediate} from 'node:timers/promises';
import {MessageChannel, type MessagePort, receiveMessageOnPort, Worker} from 'node:worker_threads';
import {fromRefusal, MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import type {Plan} from '../../wire/record.ts';
import type {PlanDesk} from './desk.ts';
import type {Answer, Job, Lines, Question} from './desk-messages.ts';
import type {Outlook} from './filter.ts';

/** So long this thread works for a plan before others have their turn. */
const TURN_MS: Millis = 10;
/** Entries that are copied at once: few enough to end well within a turn. */
const PART = 500;
/** Hosts come with their reports of some minutes. */
const HOSTS_PART = 1;
const SCRIPT = new URL(`./desk-thread.io.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/**
 * Plans made in a thread of their own, which ends with the plan: on a large farm they take seconds, in which a leader must renew its lease, answer,
 * and end holds. What it costs here is to copy the farm there and the plan back, in small parts with turns of others in between. Users who
 * move meanwhile are copied as they were or as they are: whoever a move has locked when it begins is in no plan. A thread has the whole farm
 * in its memory: there is one for plans and one for questions at a time, the others wait.
 * @param signal ends what is being made.
 */
export function deskAway(signal: AbortSignal): PlanDesk {
  const [planned, asked] = [inTurn(), inTurn()];
  return {
    async plan(wish, outlook, ids, because) {
      const found = await planned(() => ask({kind: 'plan', wish, ids, because}, outlook, signal));
      if ('view' in found) throw new MailherdError('INTERNAL', {reason: 'no plan was made'});
      return found.plan;
    },
    async whatIf(wish, outlook) {
      const found = await asked(() => ask({kind: 'whatIf', wish}, outlook, signal));
      if ('plan' in found) throw new MailherdError('INTERNAL', {reason: 'a plan was made'});
      return found.view;
    },
  };
}

/** One after the other, whether or not the one before failed. */
function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return work => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

type Found = Extract<Answer, {kind: 'plan' | 'whatIf'}>;

async function ask(job: Job, outlook: Outlook, signal: AbortSignal): Promise<Found> {
  if (signal.aborted) throw new MailherdError('NOT_LEADER');
  const {port1, port2} = new MessageChannel();
  const lines: Lines = {answers: port2};
  const thread = new Worker(SCRIPT, {workerData: lines, transferList: [port2]});
  const ended = new AbortController();
  const told = once(thread, 'message', {signal: AbortSignal.any([ended.signal, signal])});
  // Waited for below, once everything was said.
  told.catch(() => undefined);
  try {
    await say(thread, job, outlook, signal);
    await told;
    return await hear(port1);
  } catch (error) {
    if (signal.aborted) throw new MailherdError('NOT_LEADER', {}, {cause: error});
    throw error;
  } finally {
    ended.abort();
    port1.close();
    await thread.terminate();
  }
}

/** The moves first: who begins to move while the routes are copied stands in none, and was in the queue, or in another plan's. */
async function say(thread: Worker, job: Job, {fleet, ...outlook}: Outlook, signal: AbortSignal): Promise<void> {
  const {moves, waiting} = fleet;
  const turns = new Turns(signal);
  const post = (question: Question): void => thread.postMessage(question);
  for await (const part of parts(moves, PART, turns)) post({kind: 'moves', part});
  for await (const part of parts(waiting, PART, turns)) post({kind: 'waiting', part});
  for await (const part of parts(fleet.hosts, HOSTS_PART, turns)) post({kind: 'hosts', part});
  for await (const part of parts(fleet.routes, PART, turns)) post({kind: 'routes', part});
  for await (const part of parts(fleet.mailboxes, PART, turns)) post({kind: 'mailboxes', part});
  post({kind: 'job', job, outlook});
}

async function hear(answers: MessagePort): Promise<Found> {
  const turns = new Turns(null);
  const moves: Plan['moves'] = [];
  const unplaced: Plan['unplaced'] = [];
  for (;;) {
    const received = receiveMessageOnPort(answers) as {message: Answer} | undefined;
    if (received === undefined) throw new MailherdError('INTERNAL', {reason: 'the thread that makes plans told nothing'});
    const {message} = received;
    switch (message.kind) {
      case 'moves':
        moves.push(...message.part);
        break;
      case 'unplaced':
        unplaced.push(...message.part);
        break;
      case 'refused':
        throw fromRefusal(message.refusal);
      case 'plan':
        return {kind: 'plan', plan: {...message.plan, moves, unplaced}};
      case 'whatIf':
        return message;
    }
    await turns.pass();
  }
}

async function* parts<T>(all: Iterable<T>, count: number, turns: Turns): AsyncGenerator<T[]> {
  let part: T[] = [];
  for (const one of all) {
    if (part.push(one) < count) continue;
    yield part;
    part = [];
    await turns.pass();
  }
  if (part.length > 0) yield part;
}

/** Lets others have their turn when this one has lasted long enough. */
class Turns {
  readonly #signal: AbortSignal | null;
  #sinceMs = performance.now();

  constructor(signal: AbortSignal | null) {
    this.#signal = signal;
  }

  /** @throws MailherdError NOT_LEADER */
  async pass(): Promise<void> {
    if (performance.now() - this.#sinceMs < TURN_MS) return;
    await setImmediate();
    if (this.#signal?.aborted === true) throw new MailherdError('NOT_LEADER');
    this.#sinceMs = performance.now();
  }
}
