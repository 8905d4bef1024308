import {generateKeyPairSync} from 'node:crypto';
import {writeFile} from 'node:fs/promises';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {begin} from '../../bench/move/farm.io.ts';
import {type ApiAccess, call} from '../../farm/api.io.ts';
import {down, type Farm} from '../../farm/farm.io.ts';
import {makeLayout, type Release} from '../../farm/layout.ts';
import {runIn} from '../../farm/machine/enter.io.ts';
import {farmPaths, hostPaths} from '../../farm/paths.ts';
import {MovesView, PlanView} from '../../wire/api.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {eventually} from './smoke.ts';

/** Needs root and what the farm needs: two hosts of each release, with access control lists and compression. */
const backend = (name: string, release: Release, last: number) =>
  ({name, role: 'backend', release, last, labels: {}, isSpare: false}) as const;
const FARM: Farm = {
  paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mailherd-farm-kept'}),
  layout: makeLayout('mhfarm1', '10.213.71', 13, [
    {name: 'acct', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
    backend('aco1', 'bookworm', 21),
    backend('aco2', 'bookworm', 22),
    backend('acn1', 'trixie', 23),
    backend('acn2', 'trixie', 24),
  ]),
  say: () => undefined,
};

/** What an operator adds on a host. @param method of compression; null: neither that nor access control lists. */
function extras(release: Release, method: string | null): string {
  if (method === null) return '';
  return release === 'bookworm'
    ? `mail_plugins = quota acl zlib
protocol imap {
  mail_plugins = quota imap_quota acl imap_acl zlib
}
protocol lmtp {
  mail_plugins = quota sieve acl zlib
}
plugin {
  acl = vfile
  zlib_save = ${method}
}
`
    : `mail_plugins {
  acl = yes
  mail_compress = yes
}
acl_driver = vfile
mail_compress_write_method = ${method}
protocol imap {
  mail_plugins {
    imap_acl = yes
  }
}
`;
}

const releaseOf = (host: string): Release => FARM.layout.hosts.find(({name}) => name === host)?.release ?? 'bookworm';
const inDovecot = (host: string, file: string, text: string): Promise<void> =>
  writeFile(`${hostPaths(FARM.paths, host).root}/etc/dovecot/${file}`, text);

async function configure(host: string, method: string | null): Promise<void> {
  await configureWith(host, extras(releaseOf(host), method));
}

async function configureWith(host: string, settings: string): Promise<void> {
  await inDovecot(host, 'local.conf', settings);
  await runIn(FARM.paths, host, ['systemctl', 'restart', 'dovecot']);
}

/** A store for metadata, as an operator would have it. */
const withMetadata = (release: Release): string =>
  release === 'bookworm'
    ? 'mail_attribute_dict = file:%h/dovecot-attributes\n'
    : 'mail_attribute {\n  dict file {\n    path = %{home}/dovecot-attributes\n  }\n}\n';

function newKeys(): {privateKey: string; publicKey: string} {
  return generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: {type: 'pkcs8', format: 'pem'},
    publicKeyEncoding: {type: 'spki', format: 'pem'},
  });
}

const keysOf = new Map<string, ReturnType<typeof newKeys>>();

/** Encryption at rest with keys that no other host has. */
async function encrypt(host: string): Promise<void> {
  const keys = keysOf.get(host) ?? newKeys();
  keysOf.set(host, keys);
  await inDovecot(host, 'crypt.key', keys.privateKey);
  await inDovecot(host, 'crypt.pub', keys.publicKey);
  await configureWith(
    host,
    releaseOf(host) === 'bookworm'
      ? `mail_plugins = quota mail_crypt
protocol lmtp {
  mail_plugins = quota sieve mail_crypt
}
plugin {
  mail_crypt_global_private_key = </etc/dovecot/crypt.key
  mail_crypt_global_public_key = </etc/dovecot/crypt.pub
  mail_crypt_save_version = 2
}
`
      : `mail_plugins {
  mail_crypt = yes
}
crypt_global_public_key_file = /etc/dovecot/crypt.pub
crypt_global_private_key main {
  crypt_private_key_file = /etc/dovecot/crypt.key
}
crypt_write_algorithm = aes-256-gcm-sha256
`,
  );
}

let access: ApiAccess;

beforeAll(async () => {
  access = await begin(FARM);
  const methods = {aco1: 'gz', aco2: 'zstd', acn1: 'zstd', acn2: 'gz'};
  await Promise.all(Object.entries(methods).map(([host, method]) => configure(host, method)));
});

afterAll(() => down(FARM));

/** Folders that parents without messages lead to, with odd names, without messages, and hidden from their own owner. */
const FILL = `set -e
save() { { printf 'Subject: %s\\n\\n' "$2"; yes "a line that compression makes shorter" | head -n 200; } | doveadm save -u "$1" -m "$3"; }
doveadm mailbox create -s -u "$1" P/Q/R 'März & *%' Empty Hidden
doveadm mailbox subscribe -u "$1" Gone
for n in 1 2 3; do save "$1" "$n" INBOX; done
save "$1" 4 P/Q/R; save "$1" 5 Hidden
doveadm flags add -u "$1" '\\Flagged todo' mailbox INBOX uid 1:2
doveadm expunge -u "$1" mailbox INBOX uid 3
doveadm acl set -u "$1" INBOX user=x@farm.example lookup read write-seen
doveadm acl set -u "$1" P/Q/R anyone lookup
doveadm acl set -u "$1" P/Q/R group=team read insert lookup
doveadm acl set -u "$1" Hidden owner read
printf 'keep;\\n' | doveadm sieve put -u "$1" -a main
printf 'discard;\\n' | doveadm sieve put -u "$1" other
`;
const ALL_FOLDERS = '-o plugin/acl= -o acl_driver=';
/** Everything that must be the same, in one order. */
const TELL = `
doveadm ${ALL_FOLDERS} mailbox list -u "$1" | sort | sed 's/^/folder /'
doveadm ${ALL_FOLDERS} mailbox list -s -u "$1" | sort | sed 's/^/subscribed /'
for folder in INBOX P/Q/R Empty Hidden; do doveadm -f tab acl get -u "$1" "$folder" | tail -n +2 | sed "s,^,acl $folder ,"; done
doveadm -f tab quota get -u "$1" | sed 's/^/quota /'
doveadm sieve list -u "$1" | sort | sed 's/^/sieve /'
for script in main other; do doveadm sieve get -u "$1" "$script"; done
doveadm ${ALL_FOLDERS} -f tab fetch -u "$1" 'mailbox uid guid date.received size.virtual flags text' ALL | sed 's/ *.Recent//' | sort
`;
const MODSEQS = `doveadm ${ALL_FOLDERS} -f tab mailbox status -u "$1" highestmodseq '*' | tail -n +2 | sort`;

const shell = (host: string, script: string, user: string): Promise<string> => runIn(FARM.paths, host, ['sh', '-c', script, 'sh', user]);

async function moved(user: string, target: string): Promise<MoveRecord> {
  const list = async (): Promise<readonly MoveRecord[]> => (await call(access, 'GET', '/v1/moves', MovesView)).moves;
  const earlier = new Set((await list()).map(({id}) => id));
  // The farm may change between the picture and the plan: asked again, as a person would.
  await eventually(20_000, () =>
    call(access, 'POST', '/v1/moves', PlanView, {user, target}).catch((error: unknown) => {
      if (!String(error).includes('PLAN_STALE')) throw error;
      return null;
    }),
  );
  const record = await eventually(60_000, async () => {
    const found = (await list()).find(each => each.user === user && !earlier.has(each.id));
    return found !== undefined && ['retained', 'backedOut'].includes(found.step) ? found : null;
  });
  if (record === null) throw new Error(`the move of ${user} does not end`);
  return record;
}

describe('a move keeps access control lists, quota, HIGHESTMODSEQ, compressed mail, folders of any kind, subscriptions and Sieve', () => {
  it.concurrent.each([
    ['2.3 -> 2.3', 'maildir', 'ada.aco1', 'aco2'],
    ['2.3 -> 2.4', 'maildir', 'ben.aco1', 'acn2'],
    ['2.4 -> 2.3', 'maildir', 'ada.acn1', 'aco2'],
    ['2.4 -> 2.4', 'maildir', 'ben.acn1', 'acn2'],
    ['2.3 -> 2.4', 'sdbox', 'eva.aco1', 'acn2'],
    ['2.4 -> 2.3', 'sdbox', 'eva.acn1', 'aco2'],
    ['2.3 -> 2.3', 'mdbox', 'finn.aco1', 'aco2'],
    ['2.4 -> 2.4', 'mdbox', 'finn.acn1', 'acn2'],
  ])('%s, %s', async (_pair, format, name, target) => {
    const user = `${name}@farm.example`;
    const source = name.slice(-4);
    await shell(source, FILL, user);
    const before = await shell(source, TELL, user);
    const modseqs = await shell(source, MODSEQS, user);
    expect(before).toMatch(/^acl P\/Q\/R group=team.*insert/m);
    expect(before).toMatch(/^folder Hidden$/m);
    expect(await shell(source, 'doveadm mailbox path -u "$1" INBOX', user)).toMatch(format === 'maildir' ? /Maildir/ : new RegExp(format));
    expect(await moved(user, target)).toMatchObject({step: 'retained', refusal: null, verified: {folders: 5, messages: 4}});
    const log = await runIn(FARM.paths, target, ['journalctl', '--unit=mailherd-mover', '--output=cat', '--no-pager']);
    const isSeeded = log.split('\n').some(line => line.includes('a seed has arrived') && line.includes(`"${user}"`));
    // Compressed files are read by what wrote them; an index of dbox tells dsync that Sieve scripts have come too.
    expect(isSeeded).toBe(format === 'maildir' && name.includes('.aco') === target.startsWith('aco'));
    expect(await shell(target, TELL, user)).toBe(before);
    const parsed = (text: string): Map<string, number> =>
      new Map(
        text
          .trim()
          .split('\n')
          .map(line => [line.split('\t')[0] ?? '', Number(line.split('\t')[1])]),
      );
    const after = parsed(await shell(target, MODSEQS, user));
    for (const [folder, modseq] of parsed(modseqs)) expect(after.get(folder), folder).toBeGreaterThanOrEqual(modseq);
  });
});

describe('what a target would lose is refused before anything moves', () => {
  it.each([
    ['2.3', 'cleo.aco1', 'aco2'],
    ['2.4', 'cleo.acn1', 'acn2'],
    ['2.3 -> 2.4', 'dirk.aco1', 'acn2'],
    ['2.4 -> 2.3', 'dirk.acn1', 'aco2'],
  ])('%s: lists, where the target heeds none', async (_pair, name, target) => {
    await configure(target, null);
    const user = `${name}@farm.example`;
    await shell(name.slice(-4), FILL, user);
    const record = await moved(user, target);
    expect(record).toMatchObject({step: 'backedOut', refusal: {code: 'FEATURE_LACKING', detail: {host: target, lacking: ['acl']}}});
    expect(record.timeline.map(({step}) => step)).not.toContain('copying');
    expect(await runIn(FARM.paths, target, ['find', '/var/vmail', '-name', name])).toBe('');
  });

  it('compressed mail without lists moves to where nothing is compressed', async () => {
    await configure('acn2', null);
    const user = 'greta.aco1@farm.example';
    await shell('aco1', `${FILL.split('doveadm acl')[0]}`, user);
    expect(await moved(user, 'acn2')).toMatchObject({step: 'retained', refusal: null, verified: {folders: 5, messages: 4}});
  });
});

describe("encryption at rest, with keys that are each host's own", () => {
  const SAVE = `{ echo 'Subject: secret'; echo; yes 'nobody else may read this' | head -n 50; } | doveadm save -u "$1" -m INBOX`;
  const TEXTS = `doveadm -f tab fetch -u "$1" 'mailbox uid guid date.received text' ALL`;
  const CLEAR = `grep -rl 'nobody else' /var/vmail | wc -l`;

  it.each([
    ['2.3 -> 2.3', 'hugo.aco1', 'aco2'],
    ['2.4 -> 2.4', 'hugo.acn1', 'acn2'],
    ['2.3 -> 2.4', 'ines.aco1', 'acn2'],
    ['2.4 -> 2.3', 'ines.acn1', 'aco2'],
  ])('%s: mail moves, and lies encrypted on both', async (_pair, name, target) => {
    const [user, source] = [`${name}@farm.example`, name.slice(-4)];
    await encrypt(source);
    await encrypt(target);
    await shell(source, SAVE, user);
    expect(await moved(user, target)).toMatchObject({step: 'retained', refusal: null, verified: {messages: 1}});
    expect(await shell(target, TEXTS, user)).toBe(await shell(source, TEXTS, user));
    for (const host of [source, target]) expect((await shell(host, CLEAR, user)).trim()).toBe('0');
  });

  it('is refused where the target does not encrypt', async () => {
    await encrypt('aco1');
    await configureWith('aco2', '');
    const user = 'leon.aco1@farm.example';
    await shell('aco1', SAVE, user);
    const refusal = {code: 'FEATURE_LACKING', detail: {host: 'aco2', lacking: ['crypt']}};
    expect(await moved(user, 'aco2')).toMatchObject({step: 'backedOut', refusal});
    expect((await shell('aco2', CLEAR, user)).trim()).toBe('0');
  });
});

describe("encryption at rest, with keys that are each user's own", () => {
  const settings = (release: Release): string =>
    release === 'bookworm'
      ? `mail_plugins = quota mail_crypt
plugin {
  mail_crypt_curve = secp521r1
  mail_crypt_save_version = 2
}
${withMetadata(release)}`
      : `mail_plugins {
  mail_crypt = yes
}
crypt_user_key_curve = secp521r1
${withMetadata(release)}`;

  it.each([
    ['2.3', 'ada1.aco1', 'aco2'],
    ['2.4', 'ada1.acn1', 'acn2'],
  ])('%s: refused by the source before anything is copied, and the mailbox is as it was', async (_release, name, target) => {
    const [user, source] = [`${name}@farm.example`, name.slice(-4)];
    for (const host of [source, target]) await configureWith(host, settings(releaseOf(host)));
    await shell(source, 'printf "Subject: 1\\n\\nmine alone\\n" | doveadm save -u "$1" || exit 1', user);
    const keys = await shell(source, 'doveadm mailbox cryptokey list -u "$1" -U', user);
    const refusal = {code: 'FEATURE_LACKING', detail: {host: source, lacking: ['user-keys']}};
    const record = await moved(user, target);
    expect(record).toMatchObject({step: 'backedOut', refusal});
    expect(record.timeline.map(({step}) => step)).not.toContain('copying');
    expect(await runIn(FARM.paths, target, ['find', '/var/vmail', '-name', name])).toBe('');
    expect(await shell(source, 'doveadm mailbox cryptokey list -u "$1" -U', user)).toBe(keys);
    expect(await shell(source, 'doveadm fetch -u "$1" text ALL', user)).toContain('mine alone');
  });
});

describe('IMAP METADATA', () => {
  it.each([
    ['2.3 -> 2.3', 'jan.aco1', 'aco2'],
    ['2.4 -> 2.4', 'jan.acn1', 'acn2'],
    ['2.3 -> 2.4', 'kira.aco1', 'acn2'],
    ['2.4 -> 2.3', 'kira.acn1', 'aco2'],
  ])('%s: refused where the target has no store for them, kept where it has', async (_pair, name, target) => {
    const [user, source] = [`${name}@farm.example`, name.slice(-4)];
    await configureWith(source, withMetadata(releaseOf(source)));
    await configureWith(target, '');
    await shell(source, 'printf "Subject: 1\\n\\n1\\n" | doveadm save -u "$1"', user);
    await shell(source, 'doveadm mailbox metadata set -u "$1" INBOX /private/comment "mine: 1" || exit 1', user);
    const record = await moved(user, target);
    expect(record).toMatchObject({step: 'backedOut', refusal: {code: 'FEATURE_LACKING', detail: {host: target, lacking: ['metadata']}}});
    expect(record.timeline.map(({step}) => step)).not.toContain('copying');
    await configureWith(target, withMetadata(releaseOf(target)));
    expect(await moved(user, target)).toMatchObject({step: 'retained', refusal: null, verified: {messages: 1}});
    expect(await shell(target, 'doveadm mailbox metadata get -u "$1" INBOX /private/comment', user)).toContain('mine: 1');
  });

  it('nobody is refused for a store that he has nothing in', async () => {
    await configureWith('acn1', withMetadata('trixie'));
    await configureWith('acn2', '');
    const user = 'leon.acn1@farm.example';
    await shell('acn1', 'printf "Subject: 1\\n\\n1\\n" | doveadm save -u "$1"', user);
    expect(await moved(user, 'acn2')).toMatchObject({step: 'retained', refusal: null});
  });
});

describe('Sieve', () => {
  const without = (host: string): Promise<string> =>
    shell(host, 'mv /usr/lib/dovecot/modules/doveadm/lib10_doveadm_sieve_plugin.so /root/ || exit 1', '');

  it.each([
    ['2.3', 'aco2', 'aco1'],
    ['2.4', 'acn2', 'acn1'],
  ])('%s: scripts are refused by a host that has none of it, and other mailboxes come and go', async (_release, source, target) => {
    const [scripted, plain] = [`ada.${source}@farm.example`, `ben.${source}@farm.example`];
    for (const host of [source, target]) await configureWith(host, '');
    await without(target);
    await shell(source, 'printf "keep;\\n" | doveadm sieve put -u "$1" -- -x || exit 1', scripted);
    const record = await moved(scripted, target);
    expect(record).toMatchObject({step: 'backedOut', refusal: {code: 'FEATURE_LACKING', detail: {host: target, lacking: ['sieve']}}});
    expect(record.timeline.map(({step}) => step)).not.toContain('seeding');
    await shell(source, 'printf "Subject: 1\\n\\n1\\n" | doveadm save -u "$1" || exit 1', plain);
    for (const host of [target, source])
      expect(await moved(plain, host)).toMatchObject({step: 'retained', refusal: null, verified: {messages: 1}});
  });
});
