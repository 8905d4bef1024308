import {seededRng} from '../../base/random.ts';
import type {MoveEngine} from '../../coordinator/move/engine.ts';
import type {PlannedMove} from '../../wire/record.ts';
import {type Ledger, startClients} from './clients.ts';
import {WALL_START} from './clock.ts';
import {startFaults} from './faults.ts';
import {loseHost} from './loss.ts';
import {World} from './world.ts';

export interface SimResult {
  seed: number;
  steps: number;
  moves: number;
  flipped: number;
  backedOut: number;
  violations: string[];
}

const BUSY_MS = 90_000;
const QUIET_MS = 500_000;

/** One seed: a farm under traffic, moves in all directions, faults until `BUSY_MS`, then peace until everything has come to rest. */
export async function simulate(seed: number): Promise<SimResult> {
  const rng = seededRng(seed).fork('shape');
  const world = new World({seed, backends: 2 + rng.below(4), users: 2 + rng.below(5), trouble: rng.pick([0, 0.05, 0.15, 0.3])});
  const ledger = startClients(world, rng.fork('clients'), BUSY_MS);
  world.elect(false);
  void keepMoving(world, rng.fork('moves'));
  startFaults(world, rng.fork('faults'), BUSY_MS);
  const served = new Served();
  const look = (): void => {
    watch(world);
    served.look(world);
  };
  let steps = await world.time.run(BUSY_MS, look);
  heal(world);
  steps += await world.time.run(QUIET_MS, look);
  judge(world, ledger);
  judgeLeft(world);
  await loseHost(world, rng.fork('loss'));
  const records = world.engine?.records() ?? [];
  return {
    seed,
    steps,
    moves: records.length,
    flipped: records.filter(({step}) => step === 'retained' || step === 'purged').length,
    backedOut: records.filter(({step}) => step === 'backedOut').length,
    violations: world.violations,
  };
}

async function keepMoving(world: World, rng: ReturnType<typeof seededRng>): Promise<void> {
  const backends = [...world.hosts.values()].filter(({isEdge}) => !isEdge).map(({name}) => name);
  for (let generation = 1; world.time.now < BUSY_MS; generation++) {
    await world.time.sleep(rng.between(500, 6_000));
    const {engine} = world;
    if (engine === null) continue;
    const user = rng.pick([...world.routes.keys()]);
    const source = world.owner(user);
    const target = rng.pick(backends.filter(name => name !== source));
    const planned: PlannedMove = {user, source, target, bytes: 1_000, why: 'simulated'};
    const kind = rng.pick(['single', 'evacuate'] as const);
    engine.enqueue({id: `plan-${String(generation).padStart(6, '0')}`, kind, moves: [planned]});
    const retained = engine.records().filter(record => record.step === 'retained');
    if (retained.length > 0 && rng.unit() < 0.3) engine.purge([rng.pick(retained).id]).catch(() => undefined);
    const running = engine
      .records()
      .filter(({step}) => step === 'seeding' || step === 'copying' || step === 'holding' || step === 'verifying');
    if (running.length > 0 && rng.unit() < 0.1) cancel(world, engine, rng.pick(running).id);
  }
}

/** Once it is said that a move backs out, it does, whoever leads next. */
function cancel(world: World, engine: MoveEngine, id: string): void {
  engine.cancel(id).then(
    () => world.cancelled.add(id),
    () => undefined,
  );
}

function heal(world: World): void {
  world.isNatsUp = true;
  world.options.trouble = 0;
  for (const host of world.hosts.values()) {
    host.isCut = false;
    host.diskSlowness = 1;
    host.isFull = false;
    if (!host.isAgentUp) host.restart();
    world.catchUp(host);
  }
  world.elect(false);
}

/** Beyond the span of a hold: how long a host may take to see that nobody ends it. */
const HOLD_OVER_MS = 5_000;

/**
 * I5: whose host is up, hears NATS and has done so for longer than a hold lasts, is served there. How long that is not so is reckoned from the
 * last time it was otherwise, or its route changed, or its host could not know.
 */
class Served {
  readonly #since = new Map<string, {atMs: number; revision: number; life: number}>();

  look(world: World): void {
    for (const [user, {revision}] of world.routes) {
      const host = world.host(world.owner(user));
      const {life} = host;
      const before = this.#since.get(user);
      const isExcused = !host.isUp || !world.isHeard(host.name, life) || host.isMine(user) || host.appliedRevision < revision;
      if (isExcused || before?.revision !== revision || before.life !== life) {
        this.#since.set(user, {atMs: world.time.now, revision, life});
        continue;
      }
      const spanMs = world.time.now - before.atMs;
      if (spanMs > world.holdMs + HOLD_OVER_MS) world.violate('I5', `${user} has been refused on ${host.name} for ${spanMs} ms`);
    }
  }
}

/** I2, at every instant: hosts whose fence is open for a user, or where a session of theirs still may write. */
function watch(world: World): void {
  for (const user of world.routes.keys()) {
    const open: string[] = [];
    for (const host of world.hosts.values()) {
      if (!host.isEdge && host.isUp && (host.isMine(user) || host.sessions.has(user))) open.push(host.name);
    }
    if (open.length > 1) {
      const seen = open.map(
        name => `${name} (row ${JSON.stringify(world.host(name).rows.get(user))}, ${world.host(name).sessions.get(user) ?? 0} sessions)`,
      );
      world.violate(
        'I2',
        `${user} may be changed on ${seen.join(' and ')}${whereElse(world, user, '')}; route ${JSON.stringify(world.routes.get(user))}`,
      );
    }
  }
}

function judge(world: World, ledger: Ledger): void {
  for (const user of world.routes.keys()) {
    const entry = world.routes.get(user);
    const owner = world.owner(user);
    if (entry?.route.move !== null || entry?.route.hold !== null)
      world.violate('I5', `${user} is still locked or held: ${JSON.stringify(entry)}${whereElse(world, user, '')}`);
    const mailbox = world.host(owner).mailboxes.get(user);
    if (mailbox === undefined) {
      world.violate('I1', `${user} has no mailbox on ${owner}`);
      continue;
    }
    const counts = new Map<string, number>();
    for (const {guid, isWhole} of mailbox.messages.values()) {
      counts.set(guid, (counts.get(guid) ?? 0) + 1);
      if (!isWhole) world.violate('I1', `${guid} of ${user} has lost a part of its text`);
    }
    for (const [guid, whose] of ledger.messages) {
      if (whose !== user) continue;
      const count = counts.get(guid) ?? 0;
      if (count === 0) world.violate('I1', `${guid} of ${user} is lost${whereElse(world, user, guid)}`);
      if (count > 1) world.violate('I1', `${guid} of ${user} is there ${count} times`);
    }
    for (const [guid, whose] of ledger.expunged) {
      if (whose === user && counts.has(guid))
        world.violate('I3', `${guid} of ${user} was deleted, and is back${whereElse(world, user, guid)}`);
    }
    const known = ledger.known.get(user);
    known?.see(mailbox);
    for (const [uid, {guid, flagged}] of known?.byUid ?? []) {
      const message = mailbox.messages.get(uid);
      if (message?.guid !== guid) world.violate('I3', `UID ${uid} of ${user} is ${message?.guid ?? 'gone'}, was ${guid}`);
      else if (message.flagged !== flagged) world.violate('I3', `the flag of ${guid} of ${user} is wrong`);
    }
  }
  for (const record of world.engine?.records() ?? []) {
    if (world.cancelled.has(record.id) && record.step !== 'backedOut')
      world.violate('I5', `move ${record.id} was cancelled, and is ${record.step}${whereElse(world, record.user, '')}`);
    if (!['retained', 'purged', 'backedOut'].includes(record.step)) {
      world.violate('I5', `move ${record.id} does not end: ${record.step} ${JSON.stringify(record.refusal)}`);
    }
    // Such a record could never be purged, nor its host be wiped.
    if (record.step === 'retained' && world.host(record.source).copies.get(record.user)?.moveId !== record.id)
      world.violate(
        'I5',
        `${record.source} has no copy of ${record.user} by ${record.id}, which is retained${whereElse(world, record.user, '')}`,
      );
  }
}

/** Nothing is left of a mailbox but where it is, and where a retained copy is known of; and nobody's own mailbox is noted as a copy. */
function judgeLeft(world: World): void {
  for (const {name, mailboxes, copies} of world.hosts.values()) {
    for (const [user, copy] of copies) {
      if (world.owner(user) === name)
        world.violate('I4', `${user} lives on ${name}, which takes him for ${JSON.stringify(copy)}${whereElse(world, user, '')}`);
    }
    for (const user of mailboxes.keys()) {
      const known = world.engine?.records().some(({id, step}) => step === 'retained' && id === copies.get(user)?.moveId);
      if (world.owner(user) !== name && known !== true)
        world.violate('I4', `${user} lies on ${name} as ${JSON.stringify(copies.get(user) ?? null)}${whereElse(world, user, '')}`);
    }
  }
}

/** Where a lost message lies, and by which moves its user came along: the first question of whoever reads a failing seed. */
function whereElse(world: World, user: string, guid: string): string {
  const places = [...world.hosts.values()]
    .filter(({mailboxes}) => [...(mailboxes.get(user)?.messages.values() ?? [])].some(message => message.guid === guid))
    .map(({name}) => name);
  const moves = (world.engine?.records() ?? [])
    .filter(record => record.user === user)
    .map(
      ({id, source, target, step, timeline}) =>
        `${id} ${source}->${target} ${step} ${timeline.map(entry => `${entry.step}@${entry.atMs - WALL_START}`).join(' ')}`,
    );
  return `; it lies on [${places.join(', ')}]; moves:\n  ${moves.join('\n  ')}`;
}
