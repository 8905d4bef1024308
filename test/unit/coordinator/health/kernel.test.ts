import {expect, test} from 'vitest';
import {KERNEL_TABLE, type KernelName} from '../../../../coordinator/health/kernel.ts';
import type {Evidence} from '../../../../wire/record.ts';
import {countedBy, Farm, NEW, OLD, type ReportChange, recordOf, SICK} from '../fleet-builder.ts';

const slis = SICK.slis ?? {};
const busiest = (processes: number): NonNullable<ReportChange['mailFigures']> => ({
  ...countedBy({}),
  dovecot: {processes, stressed: null, ageMs: 0, busiest: [{service: 'imap', processes, max: 100, dropping: false}]},
  log: {deliveries: [], ends: {}, screened: {}, limits: []},
});
const full = {limit: 'dovecotProcesses', service: 'imap', complaints: 3};
const usual: ReportChange = {
  mailFigures: busiest(10),
  system: {
    files: {services: {dovecot: {processes: 9, fullest: [50, 1000]}}, inotify: {}, lookedShare: 1},
    services: {dovecot: {tasks: 9, tasksMax: 100}},
  },
};
/** What a host shows of each figure of the mail services when it is at its limit; those of the kernel show a great value. */
const AT_LIMIT: Partial<Record<KernelName, ReportChange>> = {
  processShare: {...usual, mailFigures: busiest(99)},
  openFileShare: {
    ...usual,
    system: {...usual.system, files: {services: {dovecot: {processes: 9, fullest: [990, 1000]}}, inotify: {}, lookedShare: 1}},
  },
  taskShare: {...usual, system: {...usual.system, services: {dovecot: {tasks: 97, tasksMax: 100}}}},
  limitsReached: {...usual, mailFigures: {...busiest(10), log: {deliveries: [], ends: {}, screened: {}, limits: [full]}}},
};

/** Evidence of two sick hosts of a release, and of the cohort. */
function evidenceOf(change: ReportChange): {host: Evidence[]; cohort: Evidence[]} {
  const farm = new Farm();
  for (let index = 0; index < 8; index++) farm.add(recordOf(`be${index}`, index < 2 ? NEW : OLD), 12);
  const well = Object.fromEntries([2, 3, 4, 5, 6, 7].map(index => [`be${index}`, usual]));
  farm.pass(430, {...well, be0: usual, be1: usual});
  const {verdicts, cohorts} = farm.pass(120, {...well, be0: {...change, slis}, be1: {...change, slis}});
  return {host: verdicts[0]?.evidence ?? [], cohort: cohorts[0]?.evidence ?? []};
}

test.each(KERNEL_TABLE)('$figure is named where it goes along with a verdict', ({figure, floor}) => {
  const change = AT_LIMIT[figure] ?? {...usual, kernel: {[figure]: 100 * floor}};
  const {host, cohort} = evidenceOf(change);
  expect(host.filter(({explains}) => explains).map(({sli}) => sli)).toEqual([figure]);
  expect(host.filter(({explains}) => !explains).map(({sli}) => sli)).toEqual(['queueAgeMsP95', 'deliveryMsP95']);
  expect(cohort.filter(({explains}) => explains)).toMatchObject([{sli: figure, note: 'on 2 of 2'}]);
});

test('what stands out on nobody explains nothing', () => {
  const {host, cohort} = evidenceOf(usual);
  expect([...host, ...cohort].filter(({explains}) => explains)).toEqual([]);
});
