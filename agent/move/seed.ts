import {MailherdError} from '../../base/errors.ts';
import {MIB} from '../../base/units.ts';
import type {Answer, Request} from '../../wire/command.ts';
import type {Copy, HostPorts} from './host-ports.ts';

/**
 * Opens this host for one seed of a mailbox, or closes it for good (`open` = false). Which of the two it is stands on disk: as long
 * as it is open the home holds nothing but a part of a seed and may be emptied, from then on it belongs to dsync and may not.
 * @returns no offer when it is closed; `emptied` when the home was. @throws MailherdError COPY_MISSING, COPY_UNKNOWN, COMMAND_FAILED.
 */
export async function receiveSeed(ports: HostPorts, {user, moveId, address, bytes, open}: Request<'receive'>): Promise<Answer<'receive'>> {
  arriving(ports, user, moveId);
  // The first pass need not wait until the seed is on disk: should this host's agent or mover die before, what it brings is no more than a part of a seed either. Nor is there
  // anything of another to be ended: whoever looked for it would end who reads the texts.
  if (await ports.files.hasJustCome(user)) return {offer: null};
  await ports.store.endCopies(user);
  await ports.files.end(user);
  const {seed} = arriving(ports, user, moveId);
  if (seed === 'closed') return {offer: null};
  const mark = (state: Copy['seed']): Promise<void> => ports.memory.putCopy({...arriving(ports, user, moveId), seed: state});
  // What an interrupted seed left is of no use: begin again.
  if (seed === 'open') await ports.store.remove(user);
  const emptied = seed === 'open' ? {emptied: true as const} : {};
  if (!open || (await ports.store.exists(user))) {
    await mark('closed');
    return {offer: null, ...emptied};
  }
  await mark('open');
  const bytesMax = Math.min(bytes * GROWTH_MAX + SLACK_BYTES, await ports.store.freeBytes());
  const offer = await ports.files.offer({user, address, bytesMax, arrived: () => mark('closed')});
  return {offer, ...emptied};
}

/** Small messages take whole blocks of an archive, and a mailbox grows while it waits for its move. */
const GROWTH_MAX = 4;
const SLACK_BYTES = 256 * MIB;

/**
 * The copy will not be emptied any more, whatever comes late: from here on it may be proved.
 * @throws MailherdError COPY_FAILED when a seed was not put on disk, or the agent that took it died before that.
 */
export function requireClosed({memory, routes, host}: HostPorts, user: string): void {
  if (routes.row(user)?.host === host || memory.copy(user)?.seed !== 'open') return;
  throw new MailherdError('COPY_FAILED', {user, host, reason: 'its seed was not put on disk'});
}

function arriving(ports: HostPorts, user: string, moveId: string): Copy {
  const copy = ports.memory.copy(user);
  if (copy === null) throw new MailherdError('COPY_MISSING', {user, host: ports.host, moveId});
  if (copy.moveId !== moveId || copy.kind !== 'arriving')
    throw new MailherdError('COPY_UNKNOWN', {user, host: ports.host, moveId: copy.moveId, kind: copy.kind});
  return copy;
}
