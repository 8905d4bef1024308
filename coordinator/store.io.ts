import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import {type NatsConnection, nanos} from '@nats-io/transport-node';
import Type from 'typebox';
import {MailherdError} from '../base/errors.ts';
import {DAY_MS, MIB, type Millis} from '../base/units.ts';
import {Bucket} from '../wire/bucket.io.ts';
import {Incident, IncidentState} from '../wire/incident.ts';
import {Lease} from '../wire/lease.ts';
import {ensureMirror} from '../wire/mirror.io.ts';
import {DEFAULT_POLICY, Policy} from '../wire/policy.ts';
import {CurrentPlan, HostRecord, MoveRecord, Plan} from '../wire/record.ts';
import {Route} from '../wire/route.ts';
import {
  DEDUPE_WINDOW_MS,
  EVENT_AGE_MAX_MS,
  EVENT_STREAM,
  EVENT_SUBJECTS,
  HOST_BUCKET,
  INCIDENT_BUCKET,
  LEASE_BUCKET,
  MOVE_BUCKET,
  PLAN_BUCKET,
  POLICY_BUCKET,
  REPORT_AGE_MAX_MS,
  REPORT_STREAM,
  REPORT_SUBJECTS,
  ROUTE_BUCKET,
} from '../wire/subjects.ts';
import {POLICY_KEY} from './keys.ts';

const StoredPlan = Type.Union([Plan, CurrentPlan]);
const StoredIncident = Type.Union([IncidentState, Incident]);
const CLUSTER_REPLICAS = 3;

/** Everything durable that coordinators share. */
export interface Store {
  hosts: Bucket<typeof HostRecord>;
  routes: Bucket<typeof Route>;
  moves: Bucket<typeof MoveRecord>;
  plans: Bucket<typeof StoredPlan>;
  policy: Bucket<typeof Policy>;
  lease: Bucket<typeof Lease>;
  incidents: Bucket<typeof StoredIncident>;
}

interface StreamShape {
  name: string;
  subject: string;
  ageMaxMs: Millis;
  /** The oldest go when it is full: a farm that writes more must not fill the disk of its NATS server. */
  bytesMax: number;
}
/** Plans are small beside what they move, yet there are many in a year; nobody asks after one whose moves are long forgotten. */
const PLAN_AGE_MAX_MS = 90 * DAY_MS;
const STREAMS: readonly StreamShape[] = [
  {name: REPORT_STREAM, subject: REPORT_SUBJECTS, ageMaxMs: REPORT_AGE_MAX_MS, bytesMax: 512 * MIB},
  {name: EVENT_STREAM, subject: EVENT_SUBJECTS, ageMaxMs: EVENT_AGE_MAX_MS, bytesMax: 1_024 * MIB},
];

/** Opens streams and buckets, creating what is absent. @throws MailherdError NATS_DOWN when the server does not answer or refuses. */
export async function openStore(nc: NatsConnection): Promise<Store> {
  try {
    const jsm = await jetstreamManager(nc);
    for (const shape of STREAMS) await openStream(nc, jsm, shape);
    await ensureMirror(nc, EVENT_STREAM);
  } catch (cause) {
    throw new MailherdError('NATS_DOWN', {reason: cause instanceof Error ? cause.message : String(cause)}, {cause});
  }
  const store = {
    hosts: await Bucket.open(nc, HOST_BUCKET, HostRecord, {create: true}),
    routes: await Bucket.open(nc, ROUTE_BUCKET, Route, {create: true}),
    moves: await Bucket.open(nc, MOVE_BUCKET, MoveRecord, {create: true}),
    plans: await Bucket.open(nc, PLAN_BUCKET, StoredPlan, {create: true, ageMaxMs: PLAN_AGE_MAX_MS}),
    policy: await Bucket.open(nc, POLICY_BUCKET, Policy, {create: true, history: 20}),
    lease: await Bucket.open(nc, LEASE_BUCKET, Lease, {create: true}),
    incidents: await Bucket.open(nc, INCIDENT_BUCKET, StoredIncident, {create: true}),
  };
  if ((await store.policy.get(POLICY_KEY)) === null) {
    await store.policy.create(POLICY_KEY, DEFAULT_POLICY).catch(error => {
      // Another coordinator of a new farm was faster.
      if (!(error instanceof MailherdError) || error.code !== 'STORE_CONFLICT') throw error;
    });
  }
  return store;
}

async function openStream(nc: NatsConnection, jsm: JetStreamManager, {name, subject, ageMaxMs, bytesMax}: StreamShape): Promise<void> {
  try {
    await jsm.streams.info(name);
    return;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
  }
  await jsm.streams.add({
    name,
    subjects: [subject],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: nanos(ageMaxMs),
    max_bytes: bytesMax,
    duplicate_window: nanos(DEDUPE_WINDOW_MS),
    num_replicas: nc.info?.cluster === undefined ? 1 : CLUSTER_REPLICAS,
  });
}
