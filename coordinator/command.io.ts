import {createInbox, type NatsConnection} from '@nats-io/transport-node';
import {fromRefusal, MailherdError} from '../base/errors.ts';
import type {Millis} from '../base/units.ts';
import {encode, parse} from '../wire/codec.ts';
import {type Answer, COMMAND_SILENCE_MS, COMMANDS, type Request, type Verb} from '../wire/command.ts';
import {ReplyReader} from '../wire/reply.io.ts';
import {commandSubject} from '../wire/subjects.ts';

/** NATS answers so at once when nobody listens on a subject. */
const NO_RESPONDERS = 503;

/** Sends a command to the agent of `host` and waits for its answer. */
export type Commander = <V extends Verb>(host: string, verb: V, request: Request<V>, timeoutMs: Millis) => Promise<Answer<V>>;

/**
 * A commander on a connection.
 * @param prefix the inbox prefix that this connection may subscribe to.
 * @returns a function that throws MailherdError: the agent's refusal; HOST_SILENT when nobody listens, no sign of work came for
 * COMMAND_SILENCE_MS, or `timeoutMs` is over (the agent may still have acted); NATS_DOWN when the connection is closed.
 */
export function commander(nc: NatsConnection, prefix: string): Commander {
  return async (host, verb, request, timeoutMs) => {
    const inbox = createInbox(prefix);
    const subscription = nc.subscribe(inbox);
    const replies = new ReplyReader(`answer of ${host} to ${verb}`);
    let isOverall = false;
    let silence = setTimeout(giveUp, Math.min(COMMAND_SILENCE_MS, timeoutMs));
    const overall = setTimeout(() => {
      isOverall = true;
      giveUp();
    }, timeoutMs);
    function giveUp(): void {
      subscription.unsubscribe();
    }
    try {
      nc.publish(commandSubject(host, verb), encode(COMMANDS[verb].request, request as never), {reply: inbox});
      for await (const message of subscription) {
        if (message.headers?.code === NO_RESPONDERS) throw new MailherdError('HOST_SILENT', {host, verb, reason: 'no agent listens'});
        const reply = replies.take(message);
        if (reply === null || 'working' in reply) {
          clearTimeout(silence);
          silence = setTimeout(giveUp, COMMAND_SILENCE_MS);
          continue;
        }
        if (!reply.ok) throw fromRefusal(reply.refusal);
        return parse(COMMANDS[verb].answer, reply.answer, `answer of ${host} to ${verb}`) as Answer<typeof verb>;
      }
      throw new MailherdError('HOST_SILENT', {
        host,
        verb,
        reason: isOverall ? `not done in ${Math.round(timeoutMs)} ms` : 'no sign of work',
      });
    } catch (cause) {
      if (cause instanceof MailherdError) throw cause;
      throw new MailherdError('NATS_DOWN', {host, verb, reason: cause instanceof Error ? cause.message : String(cause)}, {cause});
    } finally {
      clearTimeout(silence);
      clearTimeout(overall);
      subscription.unsubscribe();
    }
  };
}
