import type {HostRecord} from '../../wire/record.ts';
import type {HostFacts} from './facts.ts';

/** What is kept of the system that runs on a host, as its agent tells it. */
export function systemOf({labels, generation, installation}: NonNullable<HostFacts['report']>): Partial<HostRecord> {
  return {labels, agentGeneration: generation, ...(installation === undefined ? {} : {installation})};
}

/** That is in the record already. An agent that does not tell its installation leaves the one that is known. */
export function isSystemOf(record: HostRecord, {labels, generation, installation}: NonNullable<HostFacts['report']>): boolean {
  const isKnown = installation === undefined || record.installation === installation;
  return isKnown && record.agentGeneration === generation && sameLabels(record.labels, labels);
}

/**
 * The wanted release reports, and it is not the system that was there before. Where the release is the same an agent that starts anew would be taken
 * for it: another installation tells, if both agents know theirs.
 */
export function isReinstalled(record: HostRecord, {report, driver}: HostFacts): boolean {
  if (report === null || record.reinstallTo === null || record.wipe === null || driver === 'running') return false;
  const {installation} = record;
  const isAnew =
    installation === undefined || report.installation === undefined
      ? report.generation !== record.agentGeneration
      : report.installation !== installation;
  return (isAnew || record.labels.os !== record.reinstallTo) && report.labels.os === record.reinstallTo;
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every(key => a[key] === b[key]);
}
