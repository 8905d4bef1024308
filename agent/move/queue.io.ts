import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import {MailherdError} from '../../base/errors.ts';
import type {MailQueue} from './host-ports.ts';

const run = promisify(execFile);

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
      const ids = (await list())
        .filter(({queue_name, recipients}) => queue_name === 'deferred' && recipients.some(isWanted))
        .map(({queue_id}) => queue_id);
      for (const id of ids) await postqueue(['-i', id]);
      return ids.length;
    },
    queued: async () => (await list()).map(({recipients}) => recipients.map(({address}) => address)),
    async flush() {
      await postqueue(['-f']);
    },
  };
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
  try {
    return (await run('postqueue', args, {maxBuffer: 512 * 1024 * 1024})).stdout;
  } catch (cause) {
    throw new MailherdError(
      'COMMAND_FAILED',
      {command: `postqueue ${args.join(' ')}`, reason: cause instanceof Error ? cause.message : ''},
      {cause},
    );
  }
}
