import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {down, type Farm} from '../../farm/farm.io.ts';
import {startFault, stopFaults} from '../../farm/fault/act.io.ts';
import {makeLayout} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {runCancelledPass, runCancelledSeed} from '../../farm/matrix/cancel.io.ts';
import {type CellOptions, runPlainMove, runReversal} from '../../farm/matrix/cell.io.ts';
import {selectCells} from '../../farm/matrix/cells.ts';
import {logInAt, untilNone} from '../../farm/matrix/check.io.ts';
import {coursesOf, type Pair} from '../../farm/matrix/course.io.ts';
import {prepareMatrix, runMatrix} from '../../farm/matrix/run.io.ts';
import {trapStep} from '../../farm/matrix/trap.io.ts';
import {ended, purgeMove, startMove} from '../../farm/moves.io.ts';
import {buildPackage} from '../../farm/package.io.ts';
import {farmPaths} from '../../farm/paths.ts';

/**
 * Needs root. Mailboxes move between real hosts of both releases while mail comes in and mail programs flag and file; then the same
 * with a few cells of the fault matrix. The ledger tells whether a promise was broken.
 */
const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-moves'}),
  layout: makeLayout('mhfarm8', '10.213.78', 2, [
    {name: 'vctl', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
    {name: 'vedge', role: 'edge', release: 'bookworm', last: 11, labels: {}, isSpare: false},
    {name: 'v12', role: 'backend', release: 'bookworm', last: 21, labels: {}, isSpare: false},
    {name: 'v13', role: 'backend', release: 'trixie', last: 22, labels: {}, isSpare: false},
  ]),
  say: () => undefined,
};
const KEPT = {lost: 0, duplicated: 0, uidsChanged: 0, wrongFlags: 0, bounced: 0, violations: []};
/** One of each kind: dies before the hold, in it, at the commit point, after it. */
const SAMPLE =
  'copying/kill-target-agent,finalizing/kill-source-mover,verifying/power-target,flipping/kill-coordinator,adopting/kill-nats,finalizing/cut-source-nats,adopting/kill-source-postfix';

let options: CellOptions;

beforeAll(async () => {
  await down(FARM);
  options = await prepareMatrix(FARM, await buildPackage());
});

afterAll(() => down(FARM));

describe('a move under mail', () => {
  it.each<Pair>(['12->13', '13->12'])('%s keeps every promise', async pair => {
    const [course] = await coursesOf(options, pair);
    if (course === undefined) throw new Error(`nobody to move ${pair}`);
    const result = await runPlainMove(options, course);
    expect(result).toMatchObject({...KEPT, pair, outcome: 'forward', refusal: null});
    expect(result.accepted).toBeGreaterThan(3);
    expect(result.appended + result.flagged).toBeGreaterThan(0);
  });
});

it('a move is reversed: what came since goes along, and one copy is left', async () => {
  const [course] = await coursesOf(options, '12->13');
  if (course === undefined) throw new Error('nobody to move');
  const result = await runReversal(options, course);
  expect(result).toMatchObject({...KEPT, pair: '13->12', outcome: 'forward', refusal: null});
  expect(result.accepted).toBeGreaterThan(3);
});

it('a keyword that is taken away while the mailbox is copied does not come back with a later move', async () => {
  const {farm, access, endsWithinMs} = options;
  const [course] = await coursesOf(options, '12->13');
  if (course === undefined) throw new Error('nobody to move');
  const {user, source, target} = course;
  const flags = (verb: 'add' | 'remove'): Promise<string> =>
    runIn(farm.paths, source, ['doveadm', 'flags', verb, '-u', user.user, 'once', 'mailbox', 'INBOX', 'all']);
  await flags('add');
  const control = farm.layout.hosts.find(({role}) => role === 'control');
  if (control === undefined) throw new Error('no control host');
  let moved = Promise.resolve('');
  // Files have gone by then, no pass has.
  const trapped = await trapStep(farm, {host: control.name, address: control.address}, user.user, 'copying', 0, () => {
    moved = startMove(access, user.user, target);
  });
  await flags('remove');
  trapped?.release();
  const id = await moved;
  expect(trapped?.moveId).toBe(id);
  expect(await ended(access, id, endsWithinMs)).toMatchObject({step: 'retained', refusal: null});
  expect(await purgeMove(access, id)).toMatchObject({step: 'purged'});
  const back = await startMove(access, user.user, source);
  expect(await ended(access, back, endsWithinMs)).toMatchObject({step: 'retained', refusal: null});
  expect(await runIn(farm.paths, source, ['doveadm', 'search', '-u', user.user, 'mailbox', 'INBOX', 'keyword', 'once'])).toBe('');
  expect(await purgeMove(access, back)).toMatchObject({step: 'purged'});
});

it('mail that a source stores late arrives, that for a folder which was deleted since in INBOX; what was deleted stays so', async () => {
  const {farm, access, endsWithinMs} = options;
  const [course] = await coursesOf(options, '12->13');
  if (course === undefined) throw new Error('nobody to move');
  const {user, source, target} = course;
  const doveadm = (host: string, ...args: string[]): Promise<string> => runIn(farm.paths, host, ['doveadm', ...args]);
  const save = (folder: string, name: string): Promise<string> =>
    runIn(farm.paths, source, ['doveadm', 'save', '-u', user.user, '-m', folder], {
      input: `Subject: ${name}\nMessage-ID: <${name}@late>\n\ntext\n`,
    });
  const found = async (name: string): Promise<string> =>
    (await doveadm(target, '-f', 'flow', 'fetch', '-u', user.user, 'mailbox', 'HEADER', 'Message-ID', `<${name}@late>`)).trim();
  for (const folder of ['Deleted', 'Renamed']) await doveadm(source, 'mailbox', 'create', '-u', user.user, folder);
  for (const [folder, name] of [
    ['Deleted', 'early-deleted'],
    ['INBOX', 'early'],
  ] as const)
    await save(folder, name);
  const id = await startMove(access, user.user, target);
  expect(await ended(access, id, endsWithinMs)).toMatchObject({step: 'retained', refusal: null});
  await doveadm(target, 'mailbox', 'delete', '-u', user.user, 'Deleted');
  await doveadm(target, 'mailbox', 'rename', '-u', user.user, 'Renamed', 'Otherwise');
  await doveadm(target, 'expunge', '-u', user.user, 'mailbox', 'INBOX', 'HEADER', 'Message-ID', '<early@late>');
  for (const folder of ['Deleted', 'Renamed', 'INBOX']) await save(folder, `late-${folder}`);
  expect(await purgeMove(access, id)).toMatchObject({step: 'purged', refusal: null});
  expect(await Promise.all(['late-INBOX', 'late-Deleted', 'late-Renamed', 'early', 'early-deleted'].map(found))).toEqual([
    'mailbox=INBOX',
    'mailbox=INBOX',
    'mailbox=Otherwise',
    '',
    '',
  ]);
});

describe('a move is cancelled in the midst', () => {
  const cancels = {'of a pass': runCancelledPass, 'of a seed': runCancelledSeed};
  it.each(Object.entries(cancels))(
    '%s: that is broken off, the mailbox stays as it is, nothing is left on the target',
    async (_of, run) => {
      const [course] = await coursesOf(options, '12->13');
      if (course === undefined) throw new Error('nobody to move');
      expect(await run(options, course)).toMatchObject({...KEPT, outcome: 'back', refusal: 'CANCELLED'});
    },
  );
});

it('a backend whose agent does not come up after a boot serves nobody by its old routes', async () => {
  const {paths, layout} = FARM;
  const [course] = await coursesOf(options, '12->13');
  if (course === undefined) throw new Error('nobody to move');
  const {user, source} = course;
  const address = layout.hosts.find(({name}) => name === source)?.address ?? '';
  const says = (wanted: string) => async (): Promise<string[]> => {
    const answer = await logInAt(layout, address, user);
    return answer.startsWith(wanted) ? [] : [answer];
  };
  await runIn(paths, source, ['mv', '/etc/mailherd/agent.yaml', '/etc/mailherd/agent.yaml.away']);
  await startFault(paths, layout, 'power-off', source);
  await stopFaults(paths, layout, 'power-off', source);
  expect(await untilNone(60_000, says('UNAVAILABLE'))).toEqual([]);
  await runIn(paths, source, ['mv', '/etc/mailherd/agent.yaml.away', '/etc/mailherd/agent.yaml']);
  await runIn(paths, source, ['systemctl', 'restart', 'mailherd-agent.service']);
  expect(await untilNone(60_000, says('ok'))).toEqual([]);
});

describe('the fault matrix, a sample', () => {
  it.each(selectCells(SAMPLE))('$step while: $fault', async cell => {
    const [result] = await runMatrix(options, [cell]);
    expect(result).toMatchObject(KEPT);
    expect(['forward', 'back']).toContain(result?.outcome);
    // From the flip on there is only forward.
    if (cell.step === 'adopting') expect(result?.outcome).toBe('forward');
  });
});
