import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import {MailherdError} from '../../base/errors.ts';
import type {MailQueue} from './host-ports.ts';

const run = promisify(execFile);

/** Programs that ask Postfix at the same time to try a message again. */
const AT_ONCE = 4;
/** Where half of what is deferred is asked for, and more than a few, all of it is tried: one program instead of one a message. */
const FLUSH_MIN = 20;
const FLUSH_SHARE = 0.5;
const REASON_CHARS = 500;

interface QueuedMessage {
  queue_name: string;
  queue_id: string;
  recipients: {address: string}[];
}

/**
 * Postfix's queue of this host, by postqueue(1) `-j` (one JSON object a line). Opens every queue file: only for rare, explicit
 * questions, never for sampling.
 * @param isProbe true for recipients that the agent's own probes write to.
 */
export function postfixQueue(isProbe: (recipient: string) => boolean): MailQueue {
  const list = (): Promise<QueuedMessage[]> => queuedMessages(isProbe);
  return {
    count: async () => (await list()).length,
    async retry(users) {
      const wanted = new Set(users);
      const isWanted = ({address}: {address: string}): boolean => {
        const user = address.toLowerCase();
        return wanted.has(user) || wanted.has(user.replace(/\+[^@]*@/, '@'));
      };
      const deferred = (await list()).filter(({queue_name}) => queue_name === 'deferred');
      const ids = deferred.filter(({recipients}) => recipients.some(isWanted)).map(({queue_id}) => queue_id);
      if (ids.length >= FLUSH_MIN && ids.length >= FLUSH_SHARE * deferred.length) await postqueue(['-f']);
      else if (ids.length > 0) await retryEach(ids);
      return ids.length;
    },
    queued: async () => (await list()).map(({recipients}) => recipients.map(({address}) => address)),
    async flush() {
      await postqueue(['-f']);
    },
  };
}

/**
 * postqueue takes one message at a time, or all of them, or those of a domain, which may have thousands of other users; `postsuper -r` takes a list,
 * and has each of them read and written anew. @throws MailherdError COMMAND_FAILED once each has been tried, when one could not be.
 */
async function retryEach(ids: readonly string[]): Promise<void> {
  const tries = run('xargs', ['-n', '1', '-P', String(AT_ONCE), 'postqueue', '-i']);
  tries.child.stdin?.end(ids.join('\n'));
  await tries.catch(failed('postqueue -i'));
}

/** Everything that waits, without the agents' own probes. @throws MailherdError COMMAND_FAILED. */
async function queuedMessages(isProbe: (recipient: string) => boolean): Promise<QueuedMessage[]> {
  const text = await postqueue(['-j']);
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as QueuedMessage)
    .filter(({recipients}) => !recipients.every(({address}) => isProbe(address)));
}

async function postqueue(args: string[]): Promise<string> {
  return (await run('postqueue', args, {maxBuffer: 512 * 1024 * 1024}).catch(failed(`postqueue ${args.join(' ')}`))).stdout;
}

function failed(command: string): (cause: unknown) => never {
  return cause => {
    throw new MailherdError(
      'COMMAND_FAILED',
      {command, reason: cause instanceof Error ? cause.message.slice(0, REASON_CHARS) : ''},
      {cause},
    );
  };
}
