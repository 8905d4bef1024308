import {existsSync, readFileSync} from 'node:fs';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {audit, isClean, snapshot} from '../../farm/audit.io.ts';
import {down, reinstall, up} from '../../farm/farm.io.ts';
import {startFault, stopFaults} from '../../farm/fault/act.io.ts';
import {runIn, tryRunIn} from '../../farm/machine/enter.io.ts';
import {readState} from '../../farm/machine/state.io.ts';
import {openLedger} from '../../farm/mail/ledger.io.ts';
import {SIEVE_FOLDER, SIEVE_HEADER, SIEVE_VALUE} from '../../farm/mail/mailbox-plan.ts';
import {readMailboxes} from '../../farm/mail/read-mailbox.io.ts';
import {addressOf, deliver, eventually, FARM, HOSTS, login, setRoute, userOf} from './smoke.ts';

/** Needs root and what the farm needs; builds images when the cache has none. */
const {paths, layout} = FARM;
const BACKENDS = ['t12', 't13'] as const;
const otherOf = (host: string): string => (host === 't12' ? 't13' : 't12');

beforeAll(async () => {
  await down(FARM);
  await up(FARM, {deb: null, isFilled: true});
});

afterAll(() => down(FARM));

describe('hosts', () => {
  it('run their own systemd without a failed unit, with the releases they were given', async () => {
    for (const host of HOSTS) {
      const {stdout} = await eventually(20_000, async () => {
        const result = await tryRunIn(paths, host, ['systemctl', 'is-system-running']);
        return result.stdout.startsWith('starting') ? null : result;
      }).then(result => result ?? {stdout: 'starting'});
      expect(`${host} ${stdout.trim()}`).toBe(`${host} running`);
    }
    expect(await runIn(paths, 't12', ['dovecot', '--version'])).toMatch(/^2\.3\./);
    expect(await runIn(paths, 't13', ['dovecot', '--version'])).toMatch(/^2\.4\./);
  });

  it('are left alone when the farm is brought up again', async () => {
    const before = (await readState(paths)).machines;
    await up(FARM, {deb: null, isFilled: true});
    expect((await readState(paths)).machines).toEqual(before);
  });

  it('reach nothing outside their network', async () => {
    expect(await runIn(paths, 't12', ['ip', 'route'])).toBe(
      `${layout.network} dev host0 proto kernel scope link src ${addressOf('t12')} \n`,
    );
  });
});

describe.each(BACKENDS)('mail and logins on %s', host => {
  const {user, password} = userOf(host);

  it('arrives through the edge, and is filed where the Sieve script says', async () => {
    const folderOf = async (messageId: string): Promise<string | undefined> => {
      const [mailbox] = await readMailboxes(layout, [{...userOf(host), host}]);
      return mailbox?.folders.find(folder => folder.messages.some(message => message.messageId === messageId))?.folder;
    };
    expect(await deliver('te', 25, user, `<plain@${host}>`)).toBe(250);
    expect(await deliver('te', 25, user, `<topic@${host}>`, `${SIEVE_HEADER}: ${SIEVE_VALUE}\r\n`)).toBe(250);
    expect(await eventually(10_000, () => folderOf(`<plain@${host}>`))).toBe('INBOX');
    expect(await eventually(10_000, () => folderOf(`<topic@${host}>`))).toBe(SIEVE_FOLDER);
  });

  it('checks the password where the mailbox is', async () => {
    expect(await login('te', user, password)).toBe('ok');
    expect(await login('te', user, 'wrong')).toMatch(/^AUTHENTICATIONFAILED/);
    expect(await login('te', `nobody@${layout.domain}`, 'x')).toMatch(/^AUTHENTICATIONFAILED/);
  });

  it('refuses for now, never for good, where the mailbox is not', async () => {
    const stranger = userOf(otherOf(host));
    expect(await login(host, stranger.user, stranger.password)).toMatch(/^UNAVAILABLE/);
    expect(await login(host, stranger.user, 'wrong')).toMatch(/^UNAVAILABLE/);
    expect(await login(host, `nobody@${layout.domain}`, 'x')).toMatch(/^UNAVAILABLE/);
    expect(await deliver(host, 24, `nobody@${layout.domain}`, '<n@x>')).toBe(451);
    // LMTP knows where the user lives and passes the mail on
    expect(await deliver(host, 24, stranger.user, `<proxied@${host}>`)).toBe(250);
  });

  it('refuses a held user on both ends until the hold ends by itself', async () => {
    const held = userOf(host, 1);
    await setRoute(held.user, host, 3, otherOf(host));
    for (const end of BACKENDS) {
      expect(await login(end, held.user, held.password)).toMatch(/^UNAVAILABLE/);
      expect(await deliver(end, 24, held.user, '<held@x>')).toBe(451);
    }
    // Nobody ends it: the query compares with the clock
    expect(await eventually(15_000, async () => (await login(host, held.user, held.password)) === 'ok')).toBe(true);
    expect(await deliver(host, 24, held.user, '<after@x>')).toBe(250);
  });

  it('lets a login wait at the edge while the user is held, and follows the flip', async () => {
    const moved = userOf(host, 2);
    await setRoute(moved.user, host, 30, otherOf(host));
    const waiting = login('te', moved.user, moved.password);
    await setRoute(moved.user, otherOf(host), 0, null);
    expect(await waiting).toBe('ok');
    expect(await login(host, moved.user, moved.password)).toMatch(/^UNAVAILABLE/);
    await setRoute(moved.user, host, 0, null);
    expect(await login(host, moved.user, moved.password)).toBe('ok');
  });

  it('copies a mailbox to the other release as it is', async () => {
    const {user: copied} = userOf(host, 1);
    await runIn(paths, host, ['doveadm', 'backup', '-u', copied, `tcp:${addressOf(otherOf(host))}:24245`]);
    const list = ['doveadm', '-f', 'tab', 'fetch', '-u', copied, 'mailbox uid guid flags date.received size.virtual', 'all'];
    const [here, there] = await Promise.all([host, otherOf(host)].map(async each => (await runIn(paths, each, list)).split('\n').sort()));
    expect(there).toEqual(here);
    expect(here?.length).toBeGreaterThan(20);
    await runIn(paths, otherOf(host), ['rm', '-rf', `/var/vmail/${layout.domain}/${copied.split('@')[0]}`]);
  });
});

describe.each(BACKENDS)('faults on %s', host => {
  const {user, password} = userOf(host);
  const deliveryMs = async (): Promise<number> => {
    const startedMs = performance.now();
    expect(await deliver(host, 24, user, `<${startedMs}@${host}>`)).toBe(250);
    return performance.now() - startedMs;
  };

  it('slow-fsync makes a delivery take as long as it is told, and stops', async () => {
    await startFault(paths, layout, 'slow-fsync', host, '400');
    expect(await deliveryMs()).toBeGreaterThan(400);
    await stopFaults(paths, layout, 'slow-fsync', host);
    expect(await deliveryMs()).toBeLessThan(400);
  });

  it('drop-imap resets connections, and stops', async () => {
    await startFault(paths, layout, 'drop-imap', host, '1000');
    expect(await login(host, user, password)).not.toBe('ok');
    await stopFaults(paths, layout, null, host);
    expect(await login(host, user, password)).toBe('ok');
    expect((await readState(paths)).faults).toEqual({});
  });

  it('disk-full defers mail, and stops', async () => {
    await startFault(paths, layout, 'disk-full', host);
    expect(await deliver(host, 24, user, '<full@x>')).toBe(451);
    await stopFaults(paths, layout, 'disk-full', host);
    expect(await deliver(host, 24, user, '<room@x>')).toBe(250);
  });

  it('power-off takes the host away, and gives it back with its mail', async () => {
    await startFault(paths, layout, 'power-off', host);
    await expect(runIn(paths, host, ['true'])).rejects.toMatchObject({code: 'HOST_STATE'});
    await stopFaults(paths, layout, null, null);
    expect(await login(host, user, password)).toBe('ok');
  });
});

describe('audit', () => {
  it('is clean when every promise was kept, and finds what was done behind its back', async () => {
    const noted = await snapshot(FARM);
    expect(noted).toBeGreaterThan(6 * 20);
    const clean = await audit(FARM, 60_000);
    expect(clean).toMatchObject({lost: [], duplicated: [], uidsChanged: [], wrongFlags: [], queuesLeft: {}});
    expect(isClean(clean)).toBe(true);

    const [first, second] = [userOf('t12').user, userOf('t13').user];
    await runIn(paths, 't12', ['doveadm', 'expunge', '-u', first, 'mailbox', 'INBOX', 'uid', '1']);
    await runIn(paths, 't13', ['doveadm', 'copy', '-u', second, 'Empty', 'mailbox', 'INBOX', 'uid', '1']);
    await runIn(paths, 't12', ['doveadm', 'flags', 'add', '-u', userOf('t12', 1).user, '\\Draft', 'mailbox', 'INBOX', 'uid', '1']);
    const ledger = openLedger(paths.ledger);
    ledger.note({kind: 'accepted', user: second, messageId: '<never-sent@outside.example>'});
    ledger.close();

    const found = await audit(FARM, 60_000);
    expect(found.lost.map(each => each.user).sort()).toEqual([first, second].sort());
    expect(found.duplicated.map(each => each.user)).toEqual([second]);
    expect(found.wrongFlags.map(each => each.detail)).toEqual(['INBOX/1: has \\Draft']);
    expect(isClean(found)).toBe(false);
  });
});

describe('the end', () => {
  it('a reinstall throws the mailboxes away and brings the other release', async () => {
    const spec = layout.hosts.find(each => each.name === 't13');
    if (spec === undefined) throw new Error('no t13');
    await reinstall(FARM, {...spec, release: 'bookworm'});
    expect(await runIn(paths, 't13', ['dovecot', '--version'])).toMatch(/^2\.3\./);
    expect(await runIn(paths, 't13', ['ls', '/var/vmail'])).toBe('');
  });

  it('down leaves nothing behind, and is fine when there is nothing', async () => {
    await down(FARM);
    expect(existsSync(paths.run)).toBe(false);
    expect(existsSync(`/sys/class/net/${layout.bridge}`)).toBe(false);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(paths.run);
    await down(FARM);
  });
});
