import Type from 'typebox';
import {MailherdError} from '../../base/errors.ts';
import {HOUR_MS} from '../../base/units.ts';
import {HostView, MovesView, PolicyView} from '../../wire/api.ts';
import type {Policy} from '../../wire/policy.ts';
import {type ApiAccess, call} from '../api.io.ts';
import {apiAccess, enrolAll} from '../enrol.io.ts';
import {type Farm, up} from '../farm.io.ts';
import {stopFaults} from '../fault/act.io.ts';
import {answers} from '../machine/boot.io.ts';
import {purgeMove} from '../moves.io.ts';
import {type CellOptions, runCell} from './cell.io.ts';
import type {Cell} from './cells.ts';
import {untilNone} from './check.io.ts';
import {courseOf} from './course.io.ts';
import {processesOfUnit, signal} from './processes.io.ts';
import {addResult} from './results.io.ts';
import {type CellResult, resultLine} from './results.ts';
import {ensureRunning} from './service.io.ts';

const HEALTHY_MS = 120_000;
const REPORT_AGE_MAX_MS = 15_000;
const FAULT_MS = 5_000;
const AFTER_HOLD_MS = 60_000;
/** How often a step that was over too soon is tried again. */
const TRIES = 3;

const NOTHING_HURTS: Policy['judge']['floors'] = {
  deliveryMsP95: HOUR_MS,
  queueAgeMsP95: HOUR_MS,
  probeDeliveryMs: HOUR_MS,
  probeLoginMs: HOUR_MS,
  probeFailureShare: 1,
  imapDroppedShare: 1,
  lmtpMsP95: HOUR_MS,
  loginMsP95: HOUR_MS,
};

/** Nothing is done by itself but what a move does; copies may be purged as soon as that is safe at all. */
function matrixPolicy(present: Policy): Policy {
  return {
    ...present,
    modes: {cordon: 'off', evacuate: 'off', reinstall: 'off', rebalance: 'off', purge: 'off'},
    // Whoever is hit all the time would soon be judged, and take no mailbox any more.
    judge: {...present.judge, silentMs: HOUR_MS, sickDwellMs: 1_000, recoverDwellMs: 1_000, ratioMax: 1_000, floors: NOTHING_HURTS},
    place: {...present.place, reserveShare: 0},
    move: {...present.move, quietMs: 5_000},
    host: {...present.host, probationMs: 1_000},
  };
}

/** Brings up the farm, unless it runs, with the policy of the matrix. */
export async function prepareMatrix(farm: Farm, deb: string): Promise<CellOptions> {
  await up(farm, {deb, isFilled: true});
  await mend(farm);
  await enrolAll(farm);
  const access = await apiAccess(farm);
  const {policy, revision} = await call(access, 'GET', '/v1/policy', PolicyView);
  const wanted = matrixPolicy(policy);
  await call(access, 'PUT', '/v1/policy', PolicyView, {policy: wanted, revision});
  const options = {farm, access, faultMs: FAULT_MS, endsWithinMs: wanted.move.holdMs + AFTER_HOLD_MS};
  await untilWell(options);
  return options;
}

/** Runs cells one after the other; each result is stored before the next begins. A cell that breaks off is a violation too. */
export async function runMatrix(options: CellOptions, cells: readonly Cell[]): Promise<CellResult[]> {
  const {farm} = options;
  const results: CellResult[] = [];
  for (const cell of cells) {
    const result = await persistently(options, cell);
    addResult(farm.paths, result);
    results.push(result);
    farm.say(`${results.length}/${cells.length} ${resultLine(result)}`);
  }
  return results;
}

async function persistently(options: CellOptions, cell: Cell): Promise<CellResult> {
  for (let attempt = 1; ; attempt++) {
    await mend(options.farm);
    await untilWell(options);
    await purgeLeftovers(options.access);
    const result = await runCell(options, cell, await courseOf(options, cell));
    if (result.outcome === 'missed') options.farm.say(`${resultLine(result)}: tried again`);
    if (result.outcome !== 'missed' || result.violations.length > 0) return result;
    if (attempt === TRIES)
      return {...result, violations: [`the fault could not begin in this step; ${result.refusal ?? 'it was over too soon'}`]};
  }
}

const CONTROL_SERVICES = ['nats-server', 'mailherd-coordinator'] as const;
const MAIL_SERVICES = ['postfix', 'dovecot', 'mailherd-agent'] as const;

/** Ends whatever a cell that was broken off may have left. */
async function mend(farm: Farm): Promise<void> {
  const {paths, layout} = farm;
  await stopFaults(paths, layout, null, null);
  for (const {name, role} of layout.hosts) {
    signal(processesOfUnit(name, 'mailherd-coordinator'), 'SIGCONT');
    const services = role === 'control' ? CONTROL_SERVICES : MAIL_SERVICES;
    for (const service of services) await ensureRunning(farm, name, service);
  }
}

/** A cell that was broken off may have left copies that nobody owns. */
async function purgeLeftovers(access: ApiAccess): Promise<void> {
  const {moves} = await call(access, 'GET', '/v1/moves', MovesView);
  for (const {id, step} of moves) if (step === 'retained') await purgeMove(access, id);
}

/** Waits until every host serves and reports, and a coordinator leads. @throws MailherdError HOST_STATE when that takes too long. */
async function untilWell({access}: CellOptions): Promise<void> {
  const complaints = await untilNone(HEALTHY_MS, async () => {
    const views = await call(access, 'GET', '/v1/hosts', Type.Array(HostView));
    const silent = views.filter(
      ({reportAgeMs, record}) => (reportAgeMs ?? Number.POSITIVE_INFINITY) > REPORT_AGE_MAX_MS || record.stage !== 'active',
    );
    const deaf = await Promise.all(views.map(async ({record}) => ((await answers(record.address, 143)) ? [] : [`${record.host} is deaf`])));
    return [...silent.map(({record}) => `${record.host} is ${record.stage}, or silent`), ...deaf.flat()];
  });
  if (complaints.length > 0) throw new MailherdError('HOST_STATE', {reason: complaints.join('; ')});
}
