import {expect, test} from 'vitest';
import type {EventFeed} from '../../../../coordinator/api/ports.ts';
import {fleetHost} from '../../../../coordinator/fleet.ts';
import {emptyMemory, type FlowOutcome, flow} from '../../../../coordinator/flow.ts';
import {STATE_KEY} from '../../../../coordinator/incident/book.ts';
import {outcomeOf} from '../../../../coordinator/incident/experiment.ts';
import {IncidentKeeper} from '../../../../coordinator/incident/keeper.ts';
import {Picture} from '../../../../coordinator/picture.ts';
import type {EventType, FarmEvent} from '../../../../wire/event.ts';
import type {Experiment, Incident, IncidentState} from '../../../../wire/incident.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {Decision, VerdictKind} from '../../../../wire/record.ts';
import type {Labels} from '../../../../wire/schema.ts';
import {FakeBucket, FakeClock, settle, silentLog} from '../fakes.ts';
import {recordOf} from '../fleet-builder.ts';
import {at, cohort, hurt, T0, turned, verdict} from './story.ts';

const QUIET: FlowOutcome = flow(new Picture().fleet, emptyMemory(), DEFAULT_POLICY, T0);
const PAGE: Decision = {kind: 'page', host: null, atMs: T0, because: 'MONITOR_SUSPECT', evidence: [], vetoes: [], mode: 'on'};

/** A stream of events and a bucket that outlive leaders. */
class World {
  readonly clock = new FakeClock();
  readonly bucket = new FakeBucket<Incident | IncidentState>(this.clock);
  readonly picture = new Picture();
  readonly stream: FarmEvent[] = [];
  readonly told: {type: EventType; host: string | null; data: Record<string, unknown>}[] = [];
  #readers: {at: number; onEvent: Parameters<EventFeed['follow']>[1]; signal: AbortSignal}[] = [];

  lead(end = new AbortController()): {keeper: IncidentKeeper; end: AbortController} {
    const {clock, bucket, picture} = this;
    const emit = (type: EventType, host: string | null, data: object): void => {
      this.told.push({type, host, data: data as never});
    };
    const events: EventFeed = {
      follow: async (since, onEvent, signal) => {
        this.#readers.push({at: since ?? 0, onEvent, signal});
        this.#deliver();
      },
    };
    return {keeper: new IncidentKeeper({picture, bucket, events, emit, clock, log: silentLog, signal: end.signal}), end};
  }

  happen(...events: FarmEvent[]): void {
    this.stream.push(...events);
    this.#deliver();
  }

  #deliver(): void {
    for (const reader of this.#readers) {
      while (!reader.signal.aborted && reader.at < this.stream.length) {
        const event = this.stream[reader.at++];
        if (event !== undefined) reader.onEvent(reader.at, event);
      }
    }
  }

  /** Some rounds of ten seconds; every coordinator learns what is stored. */
  async pass(keeper: IncidentKeeper, seconds: number, outcome: FlowOutcome = QUIET): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 10) {
      await this.clock.advance(10_000);
      await keeper.look(outcome);
      for (const entry of this.bucket.rows.values()) this.picture.incidents.apply(entry);
      for (const {id} of this.picture.incidents.all()) if (!this.bucket.rows.has(String(id))) this.picture.incidents.remove(String(id));
      await settle();
    }
  }

  states(): unknown[] {
    return this.told.flatMap(({type, data}) => (type === 'incidentChanged' ? [data.state] : []));
  }
}

test('an incident is opened, told, and closed by itself; it stands in the bucket and in every picture', async () => {
  const world = new World();
  const {keeper} = world.lead();
  await world.pass(keeper, 10);
  world.happen(turned(0.1, 'be4', 'sick'), hurt(0.2, 8));
  await world.pass(keeper, 10);
  expect(world.picture.incidents.open()).toMatchObject({id: 1, hosts: ['be4'], usersHurt: 8, closedAtMs: null});
  world.happen(at(0.5, 'cohortJudged', null, {cohort}));
  await world.pass(keeper, 10);
  world.happen(turned(1, 'be4', 'healthy'));
  await world.pass(keeper, 200);
  expect(world.picture.incidents.open()).toBeNull();
  expect(world.picture.incidents.one(1)).toMatchObject({closedAtMs: T0 + 60_000, cause: 'os=new'});
  expect(world.states()).toEqual(['opened', 'changed', 'closed']);
  expect(() => world.picture.incidents.one(7)).toThrow(/INCIDENT_UNKNOWN/);
});

test('a leader that ends without a word: the next one goes on, and nothing is lost or told twice', async () => {
  const world = new World();
  const first = world.lead();
  await world.pass(first.keeper, 10);
  world.happen(turned(0.1, 'be4', 'sick'));
  await world.pass(first.keeper, 10);
  // Taken in, and not stored any more.
  world.happen(turned(0.4, 'be5', 'sick'));
  first.end.abort();
  world.happen(turned(0.5, 'be6', 'sick'));
  const second = world.lead();
  await world.pass(second.keeper, 10);
  const open = world.picture.incidents.open();
  expect(open?.hosts).toEqual(['be4', 'be5', 'be6']);
  expect(open?.timeline.filter(({phase}) => phase === 'verdict')).toHaveLength(3);
  expect(world.states()).toEqual(['opened', 'changed']);
  world.happen(turned(2, 'be4', 'healthy'), turned(2, 'be5', 'healthy'), turned(3, 'be6', 'healthy'));
  await world.pass(second.keeper, 300);
  expect(world.picture.incidents.all()).toMatchObject([{id: 1, closedAtMs: T0 + 180_000}]);
});

test('a write of a leader that was thought dead comes late: what is stored counts, and both come to the same', async () => {
  const world = new World();
  const [old, young] = [world.lead(), world.lead()];
  await world.pass(old.keeper, 10);
  world.happen(turned(0.1, 'be4', 'sick'));
  await world.pass(old.keeper, 10);
  await young.keeper.look(QUIET);
  world.happen(turned(0.4, 'be5', 'sick'));
  await world.pass(old.keeper, 10);
  world.happen(turned(0.5, 'be6', 'sick'));
  await world.pass(young.keeper, 30);
  expect(world.picture.incidents.open()?.hosts).toEqual(['be4', 'be5', 'be6']);
});

test('NATS is away for a while: incidents are stored when it is back', async () => {
  const world = new World();
  const {keeper} = world.lead();
  await world.pass(keeper, 10);
  world.bucket.fault = 'away';
  world.happen(turned(0.1, 'be4', 'sick'));
  await world.pass(keeper, 30);
  expect(world.bucket.rows.size).toBe(0);
  world.bucket.fault = 'none';
  await world.pass(keeper, 10);
  expect(world.picture.incidents.open()?.hosts).toEqual(['be4']);
  expect(world.bucket.rows.has(STATE_KEY)).toBe(true);
});

test('a page that is not decided any more is said to be over, once, and not for a moment', async () => {
  const world = new World();
  const {keeper} = world.lead();
  const paging = {...QUIET, decisions: [PAGE]};
  await world.pass(keeper, 10, paging);
  world.happen(at(0.1, 'decided', null, {decision: PAGE}));
  await world.pass(keeper, 60, paging);
  await world.pass(keeper, 20);
  await world.pass(keeper, 20, paging);
  expect(world.told.filter(({type}) => type === 'pageEnded')).toEqual([]);
  await world.pass(keeper, 90);
  expect(world.told.filter(({type}) => type === 'pageEnded')).toEqual([
    {type: 'pageEnded', host: null, data: {because: 'MONITOR_SUSPECT'}},
  ]);
  world.happen(at(3, 'pageEnded', null, {because: 'MONITOR_SUSPECT'}));
  await world.pass(keeper, 300);
  expect(world.picture.incidents.all()).toMatchObject([{cause: 'MONITOR_SUSPECT', closedAtMs: T0 + 180_000}]);
});

test('a host that failed keeps its incident open for as long as a person is called for it; what ends is said by its name', async () => {
  const world = new World();
  const {keeper} = world.lead();
  const decision = {...PAGE, host: 'be7', because: 'REINSTALL_FAILED: exit 3'};
  const paging = {...QUIET, decisions: [decision]};
  await world.pass(keeper, 10, paging);
  world.happen(at(0.1, 'decided', 'be7', {decision}));
  await world.pass(keeper, 600, paging);
  expect(world.picture.incidents.open()?.hosts).toEqual(['be7']);
  expect(world.told.filter(({type}) => type === 'pageEnded')).toEqual([]);
  await world.pass(keeper, 60);
  expect(world.told.filter(({type}) => type === 'pageEnded')).toEqual([
    {type: 'pageEnded', host: 'be7', data: {because: 'REINSTALL_FAILED: exit 3'}},
  ]);
});

test('only the newest incidents are kept', async () => {
  const world = new World();
  const {keeper} = world.lead();
  await world.pass(keeper, 10);
  world.happen(
    ...Array.from({length: 320}, (_, index) => [turned(10 * index, 'be4', 'sick'), turned(10 * index + 1, 'be4', 'healthy')]).flat(),
    hurt(4_000, 0),
  );
  await world.pass(keeper, 30);
  const ids = [...world.bucket.rows.keys()].filter(key => key !== STATE_KEY).map(Number);
  expect(ids).toHaveLength(300);
  expect(Math.min(...ids)).toBe(41);
});

const EXPERIMENT: Experiment = {
  labels: {os: 'new'},
  alternatives: [{dovecot: '2.4'}, {hardware: 'gen11'}],
  change: 'os',
  from: 'new',
  hosts: ['be4', 'be5'],
  sinceMs: T0,
  outcome: null,
};

interface Back {
  labels: Labels;
  kind: VerdictKind;
  because?: string;
  isEmpty?: boolean;
}

/** What two hosts say that came back with these labels and verdicts, so long after. */
function outcome(hosts: Record<string, Back>, afterMs = 400_000): ReturnType<typeof outcomeOf> {
  const {fleet} = new Picture();
  for (const [host, {labels}] of Object.entries(hosts)) fleet.hosts.set(host, fleetHost(recordOf(host, labels)));
  const verdicts = Object.entries(hosts).map(([host, {kind, because}]) => {
    const told = verdict(host, kind);
    return {...told, because: because ?? told.because};
  });
  return outcomeOf(EXPERIMENT, fleet, verdicts, host => hosts[host]?.isEmpty !== true, 300_000, T0 + afterMs);
}
const back = (kind: VerdictKind): Back => ({labels: {os: 'old', dovecot: '2.3', hardware: 'gen11'}, kind});
const still = (kind: VerdictKind): Back => ({labels: {os: 'new', dovecot: '2.4', hardware: 'gen11'}, kind});

test('an experiment: well without the release, and the release is to blame; sick again, and the hardware is', () => {
  const well = {blamed: [{os: 'new'}, {dovecot: '2.4'}], cleared: [{hardware: 'gen11'}]};
  expect(outcome({be4: back('healthy'), be5: back('healthy')})).toMatchObject(well);
  expect(outcome({be4: back('healthy'), be5: still('sick')})).toMatchObject({...well, hosts: [{host: 'be4', kind: 'healthy', to: 'old'}]});
  expect(outcome({be4: back('sick'), be5: back('sick')})).toMatchObject({blamed: well.cleared, cleared: well.blamed});
  expect(outcome({be4: back('sick'), be5: back('healthy')})).toMatchObject({blamed: [], cleared: []});
});

test('an experiment that is not over says nothing', () => {
  expect(outcome({be4: still('sick'), be5: still('sick')})).toBeNull();
  expect(outcome({be4: back('healthy'), be5: back('unknown')})).toBeNull();
  // Well for a moment only; gone.
  expect(outcome({be4: back('healthy')}, 100_000)).toBeNull();
  expect(outcome({})).toBeNull();
});

test('a host that was sick before it was changed and is only not called well yet proves nothing; nor does one that is well without work', () => {
  for (const because of ['EMPTIED_SICK', 'RECOVERING', 'PEERS_AS_BAD']) {
    expect(outcome({be4: {...back('sick'), because}, be5: {...back('sick'), because}})).toBeNull();
  }
  expect(outcome({be4: {...back('healthy'), isEmpty: true}, be5: {...back('healthy'), isEmpty: true}})).toBeNull();
  expect(outcome({be4: {...back('healthy'), isEmpty: true}, be5: back('healthy')})).toBeNull();
});

test('the outcome of an experiment is told once, and stands in the incident', async () => {
  const world = new World();
  const {keeper} = world.lead();
  const confounded = {...cohort, experiment: {change: 'os', hosts: ['be4']}};
  await world.pass(keeper, 10);
  world.happen(turned(0.1, 'be4', 'sick'), at(0.2, 'cohortJudged', null, {cohort: confounded}));
  world.picture.fleet.hosts.set('be4', fleetHost(recordOf('be4', {os: 'old', hardware: 'gen11'})));
  const sick = {...QUIET, verdicts: [verdict('be4', 'sick')]};
  await world.pass(keeper, 60, sick);
  const ended = world.told.filter(({type}) => type === 'experimentEnded');
  expect(ended).toMatchObject([{host: null, data: {blamed: [{hardware: 'gen11'}], cleared: [{os: 'new'}]}}]);
  world.happen(at(2, 'experimentEnded', null, ended[0]?.data as never));
  await world.pass(keeper, 30, sick);
  expect(world.picture.incidents.open()).toMatchObject({
    cause: 'hardware=gen11',
    experiments: [{outcome: {blamed: [{hardware: 'gen11'}]}}],
  });
  world.picture.judge([], [], world.clock.now());
  expect(world.picture.fleet.experiments).toMatchObject([{change: 'os', outcome: {cleared: [{os: 'new'}]}}]);
  expect(world.told.filter(({type}) => type === 'experimentEnded')).toHaveLength(1);
});
