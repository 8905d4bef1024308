import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {gunzipSync} from 'node:zlib';
import type {PlanModel} from '../coordinator/plan/model.ts';

/** What is known of an instance from elsewhere. */
export interface Reference {
  initial: number;
  lb: number;
  best_valid: number;
}

export interface Instance {
  name: string;
  set: string;
  model: PlanModel;
  reference: Reference | null;
}

/** Names and sets of the instances in a folder with sub-folders of `model_NAME.txt.gz` and `assignment_NAME.txt.gz`. @throws when there is none. */
export function listInstances(folder: string): {name: string; set: string}[] {
  const found = readdirSync(folder, {withFileTypes: true})
    .filter(entry => entry.isDirectory())
    .flatMap(({name: set}) =>
      readdirSync(join(folder, set)).flatMap(file => {
        const name = /^model_(.+)\.txt\.gz$/.exec(file)?.[1];
        return name === undefined ? [] : [{name, set}];
      }),
    );
  if (found.length === 0) throw new Error(`no instances in ${folder}: sub-folders with model_NAME.txt.gz are looked for`);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Reads an instance of the ROADEF/EURO challenge 2012. */
export function readInstance(folder: string, {name, set}: {name: string; set: string}): Instance {
  const numbers = (kind: string): Float64Array => parseNumbers(gunzipSync(readFileSync(join(folder, set, `${kind}_${name}.txt.gz`))));
  const references = readReferences(folder);
  return {name, set, model: parseModel(numbers('model'), Int32Array.from(numbers('assignment'))), reference: references[name] ?? null};
}

function readReferences(folder: string): Record<string, Reference> {
  try {
    return JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as Record<string, Reference>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

/** Whole numbers between white space; 25 million of them in the largest files. */
function parseNumbers(text: Buffer): Float64Array {
  const values = new Float64Array(Math.ceil(text.length / 2));
  let [count, value, isInside] = [0, 0, false];
  for (const byte of text) {
    if (byte >= 48 && byte <= 57) {
      value = value * 10 + byte - 48;
      isInside = true;
    } else if (isInside) {
      values[count++] = value;
      value = 0;
      isInside = false;
    }
  }
  if (isInside) values[count++] = value;
  return values.subarray(0, count);
}

function parseModel(numbers: Float64Array, home: Int32Array): PlanModel {
  let at = 0;
  const next = (): number => numbers[at++] as number;
  const row = (length: number): Float64Array => {
    at += length;
    return numbers.subarray(at - length, at);
  };
  const resources = next();
  const [transient, loadWeight] = [new Uint8Array(resources), new Float64Array(resources)];
  for (let r = 0; r < resources; r++) [transient[r], loadWeight[r]] = [next(), next()];
  const machines = next();
  const [neighbourhood, location] = [new Int32Array(machines), new Int32Array(machines)];
  const [capacity, safety] = [new Float64Array(machines * resources), new Float64Array(machines * resources)];
  const machineMoveCost = new Int32Array(machines * machines);
  for (let machine = 0; machine < machines; machine++) {
    [neighbourhood[machine], location[machine]] = [next(), next()];
    capacity.set(row(resources), machine * resources);
    safety.set(row(resources), machine * resources);
    machineMoveCost.set(row(machines), machine * machines);
  }
  const services = next();
  const [spread, dependencyStart, dependencies] = [new Int32Array(services), new Int32Array(services + 1), [] as number[]];
  for (let service = 0; service < services; service++) {
    spread[service] = next();
    dependencies.push(...row(next()));
    dependencyStart[service + 1] = dependencies.length;
  }
  const processes = next();
  const [service, need, moveCost] = [new Int32Array(processes), new Float64Array(processes * resources), new Float64Array(processes)];
  for (let process = 0; process < processes; process++) {
    service[process] = next();
    need.set(row(resources), process * resources);
    moveCost[process] = next();
  }
  const balances = next();
  const terms = Array.from({length: balances}, () => [...row(4)]);
  const column = (index: number): number[] => terms.map(term => term[index] as number);
  const [processMoveWeight, serviceMoveWeight, machineMoveWeight] = [next(), next(), next()];
  return {
    ...{machines, processes, resources, services, balances, capacity, safety, need, loadWeight, transient, home, service, spread},
    ...{dependencyStart, dependencies: Int32Array.from(dependencies), location, neighbourhood, moveCost, machineMoveCost},
    locations: location.reduce((most, one) => Math.max(most, one + 1), 0),
    neighbourhoods: neighbourhood.reduce((most, one) => Math.max(most, one + 1), 0),
    balanceFirst: Int32Array.from(column(0)),
    balanceSecond: Int32Array.from(column(1)),
    balanceTarget: Float64Array.from(column(2)),
    balanceWeight: Float64Array.from(column(3)),
    exclusive: new Uint8Array(services).fill(1),
    offers: new Uint32Array(machines).fill(1),
    accepts: new Uint32Array(processes).fill(1),
    ...{processMoveWeight, serviceMoveWeight, machineMoveWeight},
  };
}
