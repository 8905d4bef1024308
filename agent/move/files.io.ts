import type {Log} from '../../wire/log.ts';
import type {HostPorts} from './host-ports.ts';
import {type MailPlace, mailPlace, syncPlace} from './seed-place.io.ts';
import {SeedReceiver} from './seed-receive.io.ts';
import {sendSeed} from './seed-send.io.ts';

interface FilesOptions {
  /** Directory of the mail store; nothing outside it is ever written or read. */
  store: string;
  /** Where this host takes seeds. */
  seedPort: number;
  log: Log;
  signal: AbortSignal;
}

/** Mailboxes as files on this host's disks. */
export function mailFiles({store, seedPort, log, signal}: FilesOptions): HostPorts['files'] {
  const receiver = new SeedReceiver({port: seedPort, log, signal});
  /** Of users that are arriving: asking Dovecot again would only lengthen the hold. */
  const places = new Map<string, MailPlace>();
  return {
    async offer(terms) {
      const place = await mailPlace(terms.user, store);
      places.set(terms.user, place);
      return receiver.offer(terms, place);
    },
    end: user => receiver.end(user),
    async send(user, offer) {
      const outcome = await sendSeed(store, user, offer);
      log.info({user, ...outcome}, 'seed');
      return outcome;
    },
    async persist(users) {
      for (const user of users) {
        const place = places.get(user) ?? (await mailPlace(user, store));
        await syncPlace(place);
        places.set(user, place);
      }
    },
  };
}
