import {emptyFleet, type Fleet, fleetHost} from '../../../coordinator/fleet.ts';
import {emptyMemory, type FlowOutcome, flow} from '../../../coordinator/flow.ts';
import {newHost} from '../../../coordinator/host/life.ts';
import {fold} from '../../../coordinator/report/fold.ts';
import {Intake} from '../../../coordinator/report/intake.ts';
import type {Policy} from '../../../wire/policy.ts';
import type {HostReport} from '../../../wire/report.ts';
import {effectOn, type Scenario} from './scenario.ts';
import {INTERVAL_MS} from './world.ts';

/** Routes are there so that there is somebody to move; a handful of users stand for all. */
const ROUTES_PER_HOST = 10;
const BYTES = 2 ** 30;

/** Everybody's record, in service, with some users. */
export function fleetOf({world, startMs}: Scenario): Fleet {
  const fleet = emptyFleet();
  for (const {host, labels} of world.hosts) {
    const record = {...newHost(host, 'backend', '10.0.0.1', 'sim', startMs), stage: 'active' as const, labels};
    fleet.hosts.set(host, fleetHost(record));
    for (let index = 0; index < ROUTES_PER_HOST; index++) {
      fleet.routes.set(`u${index}@${host}`, {host, generation: 1, moveId: null});
      fleet.mailboxes.set(`u${index}@${host}`, {bytes: BYTES, messages: 10});
    }
  }
  return fleet;
}

/**
 * Plays a scenario through the door for reports and the flow, a round every interval.
 * @param see told each round's outcome; returns false to end the play.
 */
export function play(scenario: Scenario, policy: Policy, see: (outcome: FlowOutcome, atMs: number) => boolean): void {
  let memory = emptyMemory();
  playReports(scenario, (fleet, nowMs) => {
    const outcome = flow(fleet, memory, policy, nowMs);
    memory = outcome.memory;
    return see(outcome, nowMs);
  });
}

/** Plays only what comes to the coordinator. @param see told of each round what it has; returns false to end the play. */
export function playReports(scenario: Scenario, see: (fleet: Fleet, nowMs: number) => boolean): void {
  const {world, startMs, onsetMs, endMs, innocent} = scenario;
  const fleet = fleetOf(scenario);
  const intake = new Intake(fleet, () => undefined);
  const text = new TextEncoder();
  const onTheWay: {dueMs: number; host: string; report: HostReport}[] = [];
  for (let atMs = startMs; atMs < endMs; atMs += INTERVAL_MS) {
    world.next();
    for (const host of world.hosts) {
      const report = world.report(host, atMs, effectOn(scenario, host, atMs));
      const isMangled = innocent?.mangle !== undefined && (atMs >= onsetMs || innocent.isFromStart === true);
      const {reports, delayMs} =
        isMangled && innocent?.mangle ? innocent.mangle(report, atMs - onsetMs, host) : {reports: [report], delayMs: 0};
      const way = world.way();
      for (const sent of reports) {
        for (let copy = 0; copy < way.copies; copy++) onTheWay.push({dueMs: atMs + delayMs + way.delayMs, host: host.host, report: sent});
      }
    }
    // The round is some seconds after the reports, as rounds and reports do not keep step.
    const nowMs = atMs + INTERVAL_MS / 2;
    let kept = 0;
    for (const message of onTheWay) {
      if (message.dueMs > nowMs) onTheWay[kept++] = message;
      else if (scenario.isPastTheDoor === true) fold(fleet, message.report, Math.round(message.dueMs));
      else intake.take(`mailherd.report.${message.host}`, text.encode(JSON.stringify(message.report)), Math.round(message.dueMs));
    }
    onTheWay.length = kept;
    if (!see(fleet, nowMs)) return;
  }
}
