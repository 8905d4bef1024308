import type {NatsConnection} from '@nats-io/transport-node';
import {systemClock} from '../../base/clock.io.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import {Bucket, type Entry, type Removal} from '../../wire/bucket.io.ts';
import type {Log} from '../../wire/log.ts';
import {HostRecord} from '../../wire/record.ts';
import {Route} from '../../wire/route.ts';
import {HOST_BUCKET, ROUTE_BUCKET} from '../../wire/subjects.ts';
import {newestRevision} from './newest.io.ts';
import type {ProbeRoutes} from './probe-routes.ts';
import {Reminder} from './reminder.ts';
import type {SqliteRouteTable} from './table.io.ts';

const RETRY_MS = SECOND_MS;

/** Brings the table up to date and keeps it so for as long as `signal` lasts; mail flows with its last state meanwhile. */
export async function followRoutes(
  nc: NatsConnection,
  table: SqliteRouteTable,
  probes: ProbeRoutes,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const onHost = (change: Entry<HostRecord> | Removal): void => {
    if ('removed' in change) {
      table.removeHost(change.key);
      probes.removed(change.key);
    } else {
      table.putHost(change.value.host, change.value.address);
      probes.take(change.value);
    }
  };
  const onMisfit = (key: string, reason: string): void =>
    log.error({key, reason}, 'a route or host record does not fit its schema; kept the old one');
  const reminder = new Reminder(MINUTE_MS);
  while (!signal.aborted) {
    try {
      const hosts = await Bucket.open(nc, HOST_BUCKET, HostRecord, {create: false, onMisfit});
      await hosts.watch(onHost, signal);
      const routes = await Bucket.open(nc, ROUTE_BUCKET, Route, {create: false, onMisfit});
      table.askBy(user => newestRevision(nc, user));
      await routes.watch(
        change => table.take('removed' in change ? {removedKey: change.key, revision: change.revision} : {entry: change}),
        signal,
        isSure => {
          if (isSure) log.error({}, 'NATS has another state of the routes than was read here; who has moved on since stays where he is');
          table.anew();
        },
      );
      await table.current();
      log.info({revision: table.revision(), users: table.userCount()}, 'route table is current');
      return;
    } catch (error) {
      if (reminder.isDue(systemClock.monotonic()))
        log.warn({err: error}, 'the routes cannot be followed yet; trying on, with the last ones in force');
      await systemClock.sleep(RETRY_MS, signal);
    }
  }
}
