import {systemClock} from '../../base/clock.io.ts';
import type {Log} from '../../wire/log.ts';
import type {KnownTexts} from './bodies.io.ts';
import type {HostPorts} from './host-ports.ts';
import {Rate} from './rate.ts';
import {type MailPlaces, syncPlace} from './seed-place.io.ts';
import {SeedReceiver} from './seed-receive.io.ts';
import {sendSeed} from './seed-send.io.ts';

interface FilesOptions {
  places: MailPlaces;
  /** Learns the texts of what is sent. */
  texts: KnownTexts;
  /** Where this host takes seeds. */
  seedPort: number;
  log: Log;
  signal: AbortSignal;
}

/** Mailboxes as files on this host's disks. */
export function mailFiles({places, texts, seedPort, log, signal}: FilesOptions): HostPorts['files'] {
  const receiver = new SeedReceiver({port: seedPort, server: places.server, log, signal});
  return {
    offer: async terms => receiver.offer(terms, await places.of(terms.user)),
    end: user => receiver.end(user),
    hasJustCome: user => receiver.hasJustCome(user),
    async send(user, offer, bytesPerSecond, gone, signal) {
      const outcome = await sendSeed(
        {places, texts, gone},
        user,
        offer,
        bytesPerSecond === null ? null : new Rate(bytesPerSecond, systemClock),
        signal,
      );
      log.info({user, ...outcome}, 'seed');
      return outcome;
    },
    async persist(users) {
      for (const user of users) {
        await receiver.stored(user);
        await syncPlace(await places.of(user));
      }
    },
  };
}
