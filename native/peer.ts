import {addon, rethrow} from './binding.ts';

export interface PeerAddon {
  peerOf(socket: number): Peer;
}

/** A user of this host. */
export interface Peer {
  uid: number;
  gid: number;
}

/**
 * Who connected to a unix socket (SO_PEERCRED).
 * @param socket descriptor of the connection. @throws MailherdError NATIVE_FAILED when it is none.
 */
export function peerOf(socket: number): Peer {
  try {
    return addon().peerOf(socket);
  } catch (error) {
    return rethrow(error);
  }
}
