import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {readBoard, readDisks} from '../../../../agent/inventory/disk.io.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mailherd-sys-'));
  mkdirSync(join(root, 'sys/class/block'), {recursive: true});
});
afterEach(() => rmSync(root, {recursive: true}));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, 'sys', path)), {recursive: true});
  writeFileSync(join(root, 'sys', path), text);
}
function block(name: string, path: string, files: Record<string, string> = {}): void {
  mkdirSync(join(root, 'sys', path), {recursive: true});
  for (const [file, text] of Object.entries(files)) put(`${path}/${file}`, text);
  symlinkSync(join(root, 'sys', path), join(root, 'sys/class/block', name));
}

test('NVMe and SATA disks, whole or by a partition, and a virtual one that says nothing', async () => {
  block('nvme0n1', 'devices/nvme0n1', {'device/model': 'SAMSUNG MZQL23T8HCLS-00A07   \n', 'device/firmware_rev': 'GDC5602Q\n'});
  block('nvme0n1p2', 'devices/nvme0n1/nvme0n1p2', {partition: '2\n'});
  block('sda', 'devices/sda', {'device/model': 'ST4000NM0035-1V4\n', 'device/rev': 'TN05\n'});
  block('vda', 'devices/vda', {'device/vendor': '0x1af4\n'});
  const nvme = [{model: 'SAMSUNG MZQL23T8HCLS-00A07', firmware: 'GDC5602Q'}];
  expect(await readDisks('nvme0n1', root)).toEqual(nvme);
  expect(await readDisks('nvme0n1p2', root)).toEqual(nvme);
  expect(await readDisks('sda', root)).toEqual([{model: 'ST4000NM0035-1V4', firmware: 'TN05'}]);
  expect(await readDisks('vda', root)).toEqual([{model: null, firmware: null}]);
  await expect(readDisks('sdz', root)).rejects.toMatchObject({code: 'ENOENT'});
});

test('what a volume is put together of', async () => {
  for (const [disk, model] of [
    ['sda', 'A'],
    ['sdb', 'B'],
  ] as const) {
    block(disk, `devices/${disk}`, {'device/model': model, 'device/rev': '1'});
    block(`${disk}1`, `devices/${disk}/${disk}1`, {partition: '1'});
  }
  block('md0', 'devices/virtual/md0', {'slaves/sda1': '', 'slaves/sdb1': ''});
  block('dm-0', 'devices/virtual/dm-0', {'slaves/md0': ''});
  expect(await readDisks('dm-0', root)).toEqual([
    {model: 'A', firmware: '1'},
    {model: 'B', firmware: '1'},
  ]);
});

test('the board, or nothing', async () => {
  expect(await readBoard(root)).toEqual([null, null, null]);
  put('class/dmi/id/board_vendor', 'Dell Inc.\n');
  put('class/dmi/id/board_name', '0HV5YG\n');
  expect(await readBoard(root)).toEqual(['Dell Inc.', '0HV5YG', null]);
});
