import {chmodSync, existsSync, lchownSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import type {Peer} from '../../native/peer.ts';
import type {HostPorts, MailQueue, SeedTerms} from '../move/host-ports.ts';
import type {PlainStore} from '../move/measured.ts';
import type {Methods} from './serve.io.ts';

/** What the methods are of. Real: what lies in agent/move/. */
export interface Served {
  store: PlainStore;
  files: Omit<HostPorts['files'], 'offer'> & {
    /** @param over called when no seed comes by it any more. */
    offer(terms: SeedTerms, over: () => void): ReturnType<HostPorts['files']['offer']>;
  };
  queue: MailQueue;
  /** base_dir of Dovecot. */
  dovecotRun: string;
}

/** Each method is one call of a port, with what has passed the schema of its request. */
export function methodsOf({store, files, queue, dovecotRun}: Served): Methods {
  return {
    exists: ({user}) => store.exists(user),
    outside: ({user}) => store.outside(user),
    freeBytes: () => store.freeBytes(),
    needs: ({user}) => store.needs(user),
    offers: () => store.offers(),
    backup: ({user, address, full}, {signal}) => store.backup(user, address, full, signal),
    carry: ({user, address, folders}) => store.carry(user, address, folders).then(nothing),
    endCopies: ({user}) => store.endCopies(user).then(nothing),
    deliveriesOver: ({user, timeoutMs}) => store.deliveriesOver(user, timeoutMs),
    endSessions: ({user, timeoutMs}) => store.endSessions(user, timeoutMs),
    folders: ({user}) => store.folders(user),
    manifest: ({user, folder, texts}) => store.manifest(user, {folder, texts}),
    readTexts: ({user}, {signal}) => store.readTexts(user, signal),
    readAhead: ({user}) => store.readAhead(user).then(nothing),
    async forgetTexts({user}) {
      store.forgetTexts(user);
      return null;
    },
    remove: ({user}) => store.remove(user),
    sizes: ({users}) => store.sizes(users),
    async offer({user, address, bytesMax}, {ask}) {
      let end: () => void = () => undefined;
      const over = new Promise<void>(resolve => {
        end = resolve;
      });
      const terms = {user, address, bytesMax, arrived: () => ask('arrived')};
      await ask('offered', await files.offer(terms, end));
      return over.then(nothing);
    },
    end: ({user}) => files.end(user).then(nothing),
    hasJustCome: ({user}) => files.hasJustCome(user),
    send: ({user, offer, bytesPerSecond}, {ask, signal}) => files.send(user, offer, bytesPerSecond, () => void ask('gone'), signal),
    persist: ({users}) => files.persist(users).then(nothing),
    count: () => queue.count(),
    retry: ({users}) => queue.retry(users),
    queued: () => queue.queued(),
    flush: () => queue.flush().then(nothing),
    async admit(_, {peer}) {
      for (const path of STATUS_SOCKETS.map(name => join(dovecotRun, name))) if (existsSync(path)) admit(path, peer);
      return null;
    },
  };
}

const nothing = (): null => null;

/** What `doveadm stats` and `doveadm service status` ask. */
const STATUS_SOCKETS = ['stats-reader', 'master'] as const;
const GROUP_MAY = 0o060;

/**
 * Lets the peer's group connect to a socket that Dovecot made for root alone. One that its configuration gave to another group stays that group's.
 * @throws MailherdError COMMAND_FAILED for such a one, and the system's errors.
 */
function admit(path: string, {uid, gid}: Peer): void {
  if (uid === 0) return;
  const {gid: group, mode, uid: owner} = statSync(path);
  const mayGroup = (mode & GROUP_MAY) === GROUP_MAY;
  if (group !== gid && mayGroup)
    throw new MailherdError('COMMAND_FAILED', {
      command: `chgrp ${path}`,
      group,
      reason: 'it is another group that may connect: add the user mailherd-agent to it',
    });
  lchownSync(path, owner, gid);
  chmodSync(path, (mode & 0o777) | GROUP_MAY);
}
