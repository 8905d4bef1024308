import {systemClock} from '../../base/clock.io.ts';
import type {Log} from '../../wire/log.ts';
import type {Served} from '../mover/methods.io.ts';
import type {KnownTexts} from './bodies.io.ts';
import {DiskSync} from './disk-sync.io.ts';
import {Rate} from './rate.ts';
import type {MailPlaces} from './seed-place.io.ts';
import {type ReaderAhead, SeedReceiver} from './seed-receive.io.ts';
import {sendSeed} from './seed-send.io.ts';

interface FilesOptions {
  places: MailPlaces;
  /** Learns the texts of what is sent. */
  texts: KnownTexts;
  readAhead: ReaderAhead;
  /** Where this host takes seeds. */
  seedPort: number;
  log: Log;
}

/** Mailboxes as files on this host's disks; an offer tells, too, when it is over. */
export function mailFiles({places, texts, readAhead, seedPort, log}: FilesOptions): Served['files'] {
  const disks = new DiskSync();
  const receiver = new SeedReceiver({port: seedPort, server: places.server, disks, readAhead, log});
  return {
    offer: async (terms, over) => receiver.offer(terms, await places.of(terms.user), over),
    end: user => receiver.end(user),
    hasJustCome: async user => receiver.hasJustCome(user),
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
      await Promise.all(
        users.map(async user => {
          await receiver.stored(user);
          await disks.place(await places.of(user));
        }),
      );
    },
  };
}
