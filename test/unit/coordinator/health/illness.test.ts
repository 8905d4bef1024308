import {expect, test} from 'vitest';
import {findCohorts, NO_COHORTS, type Subject} from '../../../../coordinator/health/cohort.ts';
import {sickOtherwise} from '../../../../coordinator/health/illness.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {Labels} from '../../../../wire/schema.ts';

const hosts = (count: number, from: number, labels: Labels, ...slis: string[]): Subject[] =>
  Array.from({length: count}, (_, index) => ({
    host: `h${from + index}`,
    labels,
    kind: slis.length > 0 ? ('sick' as const) : ('healthy' as const),
    evidence: slis.map(sli => ({sli, unit: 'ms', value: 60_000, baseline: 500, ratio: 120, note: ''})),
  }));
const otherwise = (...subjects: Subject[][]): number[] => [...sickOtherwise(new Map(subjects.flat().map((own, index) => [index, own])))];

test('two batches of a model, each sick in its own way, are two causes though the model explains all', () => {
  const farm = [
    ...hosts(10, 0, {hardware: 'm0', batch: 'b0'}, 'deliveryMsP95', 'probeDeliveryMs'),
    ...hosts(10, 10, {hardware: 'm0', batch: 'b1'}, 'probeLoginMs'),
    ...hosts(20, 20, {hardware: 'm1', batch: 'b2'}),
  ];
  const {cohorts} = findCohorts(farm, NO_COHORTS, DEFAULT_POLICY.judge, 0);
  expect(cohorts.map(({labels, explained}) => ({labels, explained}))).toEqual([
    {labels: {batch: 'b1'}, explained: true},
    {labels: {batch: 'b0'}, explained: true},
  ]);
  expect(cohorts[0]?.alternatives).toEqual([]);
  const alike = farm.map((own): Subject => (own.labels.hardware === 'm0' ? {...own, evidence: farm[0]?.evidence ?? []} : own));
  expect(findCohorts(alike, NO_COHORTS, DEFAULT_POLICY.judge, 0).cohorts.map(({labels}) => labels)).toEqual([{hardware: 'm0'}]);
});

test('sick otherwise: not by chance, not without a label that parts them, not where many show both', () => {
  const [mail, login] = [hosts(6, 0, {batch: 'b0'}, 'deliveryMsP95'), hosts(5, 6, {batch: 'b1'}, 'probeLoginMs')];
  expect(otherwise(mail, login)).toEqual([6, 7, 8, 9, 10]);
  expect(otherwise(mail, hosts(1, 6, {batch: 'b1'}, 'probeLoginMs'))).toEqual([]);
  expect(otherwise(hosts(2, 0, {batch: 'b0'}, 'lmtpMsP95'), hosts(2, 2, {batch: 'b1'}, 'probeLoginMs'))).toEqual([]);
  expect(otherwise(mail, hosts(5, 6, {batch: 'b0'}, 'probeLoginMs'))).toEqual([]);
  expect(otherwise(mail, hosts(5, 6, {batch: 'b1'}, 'probeLoginMs', 'deliveryMsP95'))).toEqual([]);
});
