import Type from 'typebox';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import {HostView, MovesView, PolicyView, VerdictsView} from '../../wire/api.ts';
import {isSettled, type MoveRecord} from '../../wire/record.ts';
import {call} from '../api.io.ts';
import {type Audit, audit, isClean, snapshot} from '../audit.io.ts';
import {apiAccess, enrolAll, enrolHost} from '../enrol.io.ts';
import {bringUp, down, type Farm, up} from '../farm.io.ts';
import {startFault} from '../fault/act.io.ts';
import {quantile} from '../mail/felt.ts';
import {startHelper, stopHelper} from '../traffic/control.io.ts';
import {BUSY, QUIET, writeRate} from '../traffic/rate.io.ts';
import {Chronicle} from './chronicle.ts';
import {storyPolicy} from './policy.ts';

/** Figures of one told story. */
export interface Story {
  lost: number;
  duplicated: number;
  uidsChanged: number;
  moves: number;
  pauseMsP50: number | null;
  pauseMsMax: number | null;
  verdictSeconds: number | null;
  cohort: string | null;
  drainedSeconds: number | null;
  returned: number;
  purged: number;
}

export interface Told {
  story: Story;
  chronicle: Chronicle;
  audit: Audit;
  /** What did not come true; empty = the story was told well. */
  failures: string[];
}

const BAD_HOSTS = ['be4', 'be5'] as const;
const SPARE = 'be6';
const LOOK_MS = 1_000;
const HostsView = Type.Array(HostView);

/** What the acts of the story look at and write down. */
interface Stage {
  farm: Farm;
  hosts: () => Promise<HostView[]>;
  verdicts: () => Promise<VerdictsView>;
  moves: () => Promise<MovesView>;
  note: (what: string, detail: string) => void;
  /** Waits until `look` has something to tell; in vain is a failure of the story. */
  reach: (what: string, timeoutMs: Millis, look: () => Promise<string | null>) => Promise<void>;
}

/** Tells the story on a fresh farm; every wait is bounded and a wait that ends in vain is a failure of the story. */
export async function tell(farm: Farm, deb: string): Promise<Told> {
  const chronicle = new Chronicle(systemClock.now(), farm.say);
  const note = (what: string, detail: string): void => void chronicle.note(systemClock.now(), what, detail);
  const access = await begin(farm, deb, note);
  const failures: string[] = [];
  const stage: Stage = {
    farm,
    hosts: () => call(access, 'GET', '/v1/hosts', HostsView),
    verdicts: () => call(access, 'GET', '/v1/verdicts', VerdictsView),
    moves: () => call(access, 'GET', '/v1/moves', MovesView),
    note,
    reach: async (what, timeoutMs, look) => {
      const detail = await eventually(timeoutMs, look);
      if (detail === null) failures.push(`${what}: not reached in ${Math.round(timeoutMs / 1_000)} s`);
      note(detail === null ? `NOT: ${what}` : what, detail ?? '');
    },
  };
  const cohort = await fallSick(stage);
  await evacuate(stage);
  await comeBack(stage);
  return end(farm, chronicle, failures, (await stage.moves()).moves, cohort);
}

/** @returns the label that Mailherd blames. */
async function fallSick({farm, verdicts, note, reach}: Stage): Promise<string | null> {
  await reach('healthy', 90_000, async () => {
    const {verdicts: all} = await verdicts();
    const healthy = all.filter(({kind}) => kind === 'healthy').length;
    return healthy >= 5 ? `${healthy} of ${all.length} hosts` : null;
  });
  writeRate(farm.paths, BUSY);
  for (const host of BAD_HOSTS) await startFault(farm.paths, farm.layout, 'bad-release', host);
  note('onset', `business hours; the release on ${BAD_HOSTS.join(', ')} begins to hurt`);
  await reach('sick', 120_000, async () => {
    const sick = (await verdicts()).verdicts.filter(({kind}) => kind === 'sick');
    return sick.length >= BAD_HOSTS.length ? sick.map(({host, because}) => `${host} (${because})`).join(', ') : null;
  });
  let cohort: string | null = null;
  await reach('verdict', 60_000, async () => {
    const {cohorts, hurt} = await verdicts();
    const explained = cohorts.find(found => found.explained);
    if (explained === undefined) return null;
    cohort = Object.entries(explained.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ');
    return `${cohort}, held against ${explained.controls.join(', ')}; ${((hurt?.share ?? 0) * 100).toFixed(1)} % of the customers hurt`;
  });
  return cohort;
}

async function evacuate({hosts, moves, reach}: Stage): Promise<void> {
  await reach('decision', 60_000, async () => {
    const {total} = await moves();
    return total > 0 ? `${total} moves planned` : null;
  });
  await reach('first move', 90_000, async () => firstDone((await moves()).moves));
  const emptied = new Set<string>();
  await reach('drained', 400_000, async () => {
    // One may be back and filled again before the other is empty.
    for (const view of await hosts()) if (isBad(view) && view.users === 0) emptied.add(view.record.host);
    return emptied.size === BAD_HOSTS.length ? `${BAD_HOSTS.join(', ')} have given up every mailbox` : null;
  });
}

async function comeBack({farm, hosts, moves, note, reach}: Stage): Promise<void> {
  const spare = farm.layout.hosts.find(({name}) => name === SPARE);
  if (spare === undefined) throw new MailherdError('HOST_UNKNOWN', {host: SPARE});
  await bringUp(farm, spare, false);
  await enrolHost(farm, spare);
  note('spare', `${SPARE} has arrived`);
  await reach('reinstalled', 240_000, async () => {
    const anew = (await hosts()).filter(view => isBad(view) && view.record.labels.os === 'debian-12');
    return anew.length === BAD_HOSTS.length ? `${anew.map(({record}) => record.host).join(', ')} run debian-12` : null;
  });
  await reach('returned', 240_000, async () => {
    const used = (await hosts()).filter(view => view.record.role === 'backend' && view.users > 0);
    return used.length === 6 ? used.map(({record, users}) => `${record.host} ${users}`).join(', ') : null;
  });
  await reach('balanced', 180_000, async () => {
    const view = await moves();
    const running = view.moves.filter(move => !isSettled(move));
    const left = view.moves.filter(({step}) => step === 'backedOut').length;
    return running.length === 0 && view.waiting.length === 0 ? `${view.moves.length - left} moves, ${left} backed out` : null;
  });
  await reach('purged', 120_000, async () => {
    const retained = (await moves()).moves.filter(({step}) => step === 'retained');
    return retained.length === 0 ? 'no source copy is left' : null;
  });
}

function isBad({record}: HostView): boolean {
  return (BAD_HOSTS as readonly string[]).includes(record.host);
}

async function begin(farm: Farm, deb: string, note: (what: string, detail: string) => void): ReturnType<typeof apiAccess> {
  await down(farm);
  await up(farm, {deb, isFilled: true});
  await startHelper(farm.paths, 'provisioner', ['provisioner']);
  const customers = await enrolAll(farm);
  const access = await apiAccess(farm);
  const {policy, revision} = await call(access, 'GET', '/v1/policy', PolicyView);
  await call(access, 'PUT', '/v1/policy', PolicyView, {policy: storyPolicy(policy), revision});
  note('farm', `${farm.layout.hosts.filter(({isSpare}) => !isSpare).length} hosts, ${customers} customers`);
  writeRate(farm.paths, QUIET);
  note('traffic', `${await snapshot(farm)} messages noted; mail and mail programs begin`);
  await startHelper(farm.paths, 'traffic', ['traffic', 'run']);
  return access;
}

async function end(
  farm: Farm,
  chronicle: Chronicle,
  failures: string[],
  records: readonly MoveRecord[],
  cohort: string | null,
): Promise<Told> {
  await stopHelper(farm.paths, 'traffic', 90_000);
  const held = await audit(farm, 120_000);
  if (!isClean(held)) failures.push('the ledger does not agree with the mailboxes');
  const done = records.filter(isDone);
  const pauses = done.flatMap(({pauseMs}) => (pauseMs === null ? [] : [Math.round(pauseMs)]));
  const seconds = (from: string, to: string): number | null => {
    const ms = chronicle.between(from, to);
    return ms === null ? null : Math.round(ms / 100) / 10;
  };
  const returned = done.filter(({target}) => (BAD_HOSTS as readonly string[]).includes(target) || target === SPARE).length;
  const story: Story = {
    lost: held.lost.length,
    duplicated: held.duplicated.length,
    uidsChanged: held.uidsChanged.length,
    moves: done.length,
    pauseMsP50: quantile(pauses, 0.5),
    pauseMsMax: pauses.length === 0 ? null : Math.max(...pauses),
    verdictSeconds: seconds('onset', 'verdict'),
    cohort,
    drainedSeconds: seconds('onset', 'drained'),
    returned,
    purged: records.filter(({step}) => step === 'purged').length,
  };
  if (returned === 0) failures.push('no mailbox was moved back');
  return {story, chronicle, audit: held, failures};
}

/** The mailbox lives at the target for good. */
function isDone({step}: MoveRecord): boolean {
  return step === 'retained' || step === 'purged';
}

function firstDone(records: readonly MoveRecord[]): string | null {
  const done = records.find(isDone);
  return done === undefined ? null : `${done.user}: ${done.source} -> ${done.target}, pause ${Math.round(done.pauseMs ?? 0)} ms`;
}

/** Looks until there is something to tell. @returns it, or null when the time is over. */
async function eventually(timeoutMs: Millis, look: () => Promise<string | null>): Promise<string | null> {
  const endMs = systemClock.monotonic() + timeoutMs;
  for (;;) {
    const found = await look().catch((error: unknown) => {
      if (error instanceof MailherdError && error.code === 'API_FAILED') return null;
      throw error;
    });
    if (found !== null || systemClock.monotonic() > endMs) return found;
    await systemClock.sleep(LOOK_MS);
  }
}
