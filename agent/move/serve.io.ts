import type {Msg, NatsConnection} from '@nats-io/transport-node';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import {decode} from '../../wire/codec.ts';
import {COMMAND_SILENCE_MS, COMMANDS, type Reply, type Request, type Verb} from '../../wire/command.ts';
import type {Log} from '../../wire/log.ts';
import {sendReply} from '../../wire/reply.io.ts';
import {commandSubjects} from '../../wire/subjects.ts';
import type {HostPorts} from './host-ports.ts';
import {endReading, serve, turnOf} from './serve.ts';

interface ServeOptions {
  nc: NatsConnection;
  ports: HostPorts;
  log: Log;
  signal: AbortSignal;
}

/**
 * Answers the coordinator's commands until `signal`. Commands for different users run side by side, commands for one user one
 * after the other: a repeated command waits for the first one and finds its work done.
 */
export function serveCommands({nc, ports, log, signal}: ServeOptions): void {
  const subscription = nc.subscribe(commandSubjects(ports.host));
  signal.addEventListener('abort', () => subscription.unsubscribe());
  const turns = new Map<string, Promise<unknown>>();
  void (async () => {
    for await (const message of subscription) void answer(message);
  })();

  async function answer(message: Msg): Promise<void> {
    const reply = (value: Reply): void => sendReply(message, value);
    const beat = setInterval(() => reply({working: true}), COMMAND_SILENCE_MS / 3);
    const begun = performance.now();
    const verb = message.subject.split('.').at(-1) ?? '';
    try {
      const {name, request} = read(verb, message);
      // Its turn comes behind what reads.
      if (name === 'discard') endReading(ports, request as Request<'discard'>);
      const turn = turnOf(ports, name, 'user' in request ? request.user : null);
      const result = await inTurn(turn, () => serve(ports, name, request));
      reply({ok: true, answer: result});
      log.info({verb, user: 'user' in request ? request.user : undefined, tookMs: Math.round(performance.now() - begun)}, 'command done');
    } catch (error) {
      const refusal = toRefusal(error);
      log.warn({verb, refusal, ...(error instanceof MailherdError ? {} : {err: error})}, 'command refused');
      reply({ok: false, refusal});
    } finally {
      clearInterval(beat);
    }
  }

  async function inTurn<T>(key: string | null, work: () => Promise<T>): Promise<T> {
    if (key === null) return work();
    const before = turns.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    turns.set(key, mine);
    try {
      return await mine;
    } finally {
      if (turns.get(key) === mine) turns.delete(key);
    }
  }
}

function read(verb: string, message: Msg): {name: Verb; request: Request<Verb>} {
  if (!Object.hasOwn(COMMANDS, verb)) throw new MailherdError('COMMAND_UNKNOWN', {verb});
  const name = verb as Verb;
  return {name, request: decode(COMMANDS[name].request, message.data, `command ${verb}`) as Request<Verb>};
}
