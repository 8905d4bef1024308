import {expect, test} from 'vitest';
import {type Facts, labelsOf, versionOf} from '../../../../agent/inventory/labels.ts';

const UNKNOWN: Facts = {
  osRelease: null,
  kernel: null,
  system: null,
  firmware: null,
  board: [null, null, null],
  disks: [],
  cpu: null,
  memoryBytes: null,
  dovecotVersion: null,
  postfixVersion: null,
};

test('a real host', () => {
  const facts: Facts = {
    osRelease:
      'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION="12 (bookworm)"\nID=debian\n',
    kernel: '6.1.0-40-amd64',
    system: {manufacturer: 'Dell Inc.', model: 'PowerEdge  R6625', version: 'Not Specified'},
    firmware: {vendor: 'Dell Inc.', version: '1.8.3'},
    board: ['Dell Inc.', '0HV5YG', 'Default string'],
    disks: [
      {model: 'MZQL23T8', firmware: 'GDC5602Q'},
      {model: 'MZQL23T8', firmware: 'GDC5502Q'},
      {model: null, firmware: null},
    ],
    cpu: {brand: 'EPYC 9354P', cores: 64},
    memoryBytes: 270_582_939_648,
    dovecotVersion: '2.3.19.1',
    postfixVersion: '3.7.11',
  };
  expect(labelsOf(facts, {rack: 'b12'})).toEqual({
    os: 'debian-12',
    kernel: '6.1.0-40-amd64',
    hardware: 'Dell Inc. PowerEdge R6625',
    firmware: 'Dell Inc. 1.8.3',
    board: 'Dell Inc. 0HV5YG',
    disk: 'MZQL23T8',
    diskFirmware: 'GDC5502Q + GDC5602Q',
    cpu: 'EPYC 9354P',
    cores: '64',
    memoryGib: '252',
    dovecot: '2.3.19.1',
    postfix: '3.7.11',
    rack: 'b12',
  });
});

test('what is unknown or left empty by the maker is no label', () => {
  const facts = {
    ...UNKNOWN,
    osRelease: 'NAME=x',
    system: {manufacturer: 'To Be Filled By O.E.M.', model: '', version: ''},
    firmware: {vendor: '-', version: 'Default string'},
  };
  expect(labelsOf(facts, {})).toEqual({});
});

test('the operator wins, and a release without a version is its name', () => {
  expect(labelsOf({...UNKNOWN, osRelease: "ID='debian'\n"}, {})).toEqual({os: 'debian'});
  expect(labelsOf({...UNKNOWN, osRelease: 'ID=debian\nVERSION_ID="13"'}, {os: 'debian-13-image-7'})).toEqual({os: 'debian-13-image-7'});
});

test('no label is longer than the wire allows', () => {
  expect(labelsOf({...UNKNOWN, kernel: 'k'.repeat(500)}, {}).kernel).toHaveLength(120);
});

test.each([
  ['2.3.19.1 (9b53102964)\n', '2.3.19.1'],
  ['mail_version = 3.7.11\n', '3.7.11'],
  ['2.4.1-4 (7d8c0e5759)', '2.4.1-4'],
  ['dovecot: not found', null],
  ['', null],
])('version of %j is %s', (output, version) => {
  expect(versionOf(output)).toBe(version);
});
