import {expect, test} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import {Farm, OLD, recordOf, type Weather} from '../fleet-builder.ts';

const vetoesOf = ({decisions}: FlowOutcome, host: string): string[] | undefined =>
  decisions.find(each => each.kind === 'evacuate' && each.host === host)?.vetoes.map(({code}) => code);

/** Hosts whose deliveries take four seconds, more or less. */
function farmOf(hosts: number, users: number): {farm: Farm; pass: (seconds: number, bad?: Weather) => FlowOutcome} {
  const farm = new Farm();
  for (let index = 0; index < hosts; index++) farm.add(recordOf(`be${index}`, OLD), users);
  const rng = seededRng(1);
  const around = (ms: number): number => Math.round(ms * Math.exp(0.2 * (rng.unit() + rng.unit() + rng.unit() - 1.5)));
  const pass = (seconds: number, bad: Weather = {}): FlowOutcome => {
    let outcome: FlowOutcome | null = null;
    for (let passed = 0; passed < seconds; passed += 10) {
      const weather: Weather = {};
      for (const host of farm.fleet.hosts.keys()) {
        const own = bad[host] ?? {};
        weather[host] = {...own, slis: {...own.slis, deliveryMsP95: around(own.slis?.deliveryMsP95 ?? 4_000)}};
      }
      outcome = farm.pass(10, weather);
    }
    if (outcome === null) throw new Error('no round');
    return outcome;
  };
  return {farm, pass};
}

test.each([2, 100])('what only explains makes no cure better: deliveries 1.75 times as slow, a disk flush takes %i ms', diskFlushMs => {
  const {pass} = farmOf(8, 5);
  pass(1_800);
  const outcome = pass(600, {be3: {slis: {deliveryMsP95: 7_000}, kernel: {diskFlushMs}}});
  expect(outcome.verdicts[3]).toMatchObject({kind: 'sick'});
  expect(vetoesOf(outcome, 'be3')).toEqual(['CURE_WORSE']);
});
