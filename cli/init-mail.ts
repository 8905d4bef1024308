import Type from 'typebox';
import {MailherdError} from '../base/errors.ts';
import {fits} from '../wire/codec.ts';
import {dovecot23} from '../wire/mail-config/dovecot-23.ts';
import {dovecot24} from '../wire/mail-config/dovecot-24.ts';
import {postfixParameters, postfixTables} from '../wire/mail-config/postfix.ts';
import {type BackendSite, type ConfigFile, configFile, type MailSite} from '../wire/mail-config/site.ts';
import type {Mailboxes} from '../wire/route-queries.ts';
import type {NewHost} from './init.ts';

export const DOVECOTS = ['2.3', '2.4'] as const;
export type Dovecot = (typeof DOVECOTS)[number];

/** Options of `mailherd init mail`, as they were written. */
export interface MailOptions {
  domain: readonly string[];
  address?: string;
  network: readonly string[];
  home?: string;
  uid?: string;
  gid?: string;
}

const MAIN_CF = '/etc/postfix/mailherd-main.cf';

const IPV4 = '(\\d{1,3}\\.){3}\\d{1,3}';
const Domain = Type.String({pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$'});
const Address = Type.String({pattern: `^${IPV4}$`});
const Network = Type.String({pattern: `^${IPV4}/\\d{1,2}$`});
/** It stands in a query and in paths. */
const Home = Type.String({pattern: '^(/([\\w.@-]|%[und])+)+$'});
const Id = Type.String({pattern: '^[1-9]\\d{0,8}$'});

function need(schema: Type.TString, value: string | undefined, option: string, reason: string): string {
  if (value !== undefined && fits(schema, value)) return value;
  throw new MailherdError('INPUT_INVALID', {what: value ?? option, path: `/${option}`, reason});
}

/**
 * @param doveadmPassword asked for a backend only.
 * @throws MailherdError INPUT_INVALID for a host that carries no mail, and for an option that lacks or does not fit.
 */
export function siteOf({host, role}: NewHost, options: MailOptions, doveadmPassword: () => string): MailSite {
  if (role === 'control') throw new MailherdError('INPUT_INVALID', {what: host, path: '/', reason: 'a control host carries no mail'});
  const domains = each(Domain, options.domain, 'domain', 'a mail domain of the farm, e.g. example.org');
  if (role === 'edge') return {role, domains};
  return {
    role,
    domains,
    address: need(Address, options.address, 'address', "must be the backend's own IPv4 address, as in mailherd add-host"),
    networks: each(Network, options.network, 'network', "a network of the farm's hosts, e.g. 10.0.0.0/24"),
    mailboxes: mailboxesOf(options),
    doveadmPassword: doveadmPassword(),
  };
}

function each(schema: Type.TString, values: readonly string[], option: string, what: string): string[] {
  const reason = `must be ${what}; can be given often`;
  return (values.length === 0 ? [undefined] : values).map(value => need(schema, value, option, reason));
}

function mailboxesOf({home, uid, gid}: MailOptions): Mailboxes | null {
  if (home === undefined && uid === undefined && gid === undefined) return null;
  return {
    home: need(Home, home, 'home', 'must be an absolute path with %d (domain), %n (name), %u (both), e.g. /var/vmail/%d/%n'),
    uid: Number(need(Id, uid, 'uid', 'must be a number, as home and gid')),
    gid: Number(need(Id, gid, 'gid', 'must be a number, as home and uid')),
  };
}

/** Every file that the host is to have. */
export function mailFiles(site: MailSite, dovecot: Dovecot): ConfigFile[] {
  return [
    ...(dovecot === '2.3' ? dovecot23 : dovecot24)(site),
    configFile(MAIN_CF, `# Into main.cf, which cannot include it: see what "mailherd init mail" says.\n${postfixParameters(site)}`),
    ...postfixTables(site),
  ];
}

/** What a person does with them. @param dir where they lie. */
export function mailSteps({host}: NewHost, site: MailSite, dovecot: Dovecot, dir: string): string {
  const {packages, passwords, check} = site.role === 'edge' ? EDGE_STEPS : backendSteps(site, dovecot);
  return `Files of ${host} with Dovecot ${dovecot}: ${dir}, each at its path. On the host, as root:
1. apt install postfix-sqlite dovecot-sqlite${packages}
2. from here, as they are: tar -C ${dir} -cf - etc | ssh root@${host} tar -C / -xf - --no-same-owner --no-overwrite-dir
3. /etc/dovecot/dovecot.conf, above "!include conf.d/*.conf", so that it is asked ahead of every other passdb and userdb:
     !include mailherd.conf
   conf.d/10-auth.conf: comment out "!include auth-system.conf.ext"
   conf.d/* come later and win: doveconf -n must show what mailherd.conf says
4. ${passwords}
5. what "postconf -n" has of these already (transport_maps, mynetworks!) is yours: add it in ${MAIN_CF}, then
     grep '^[a-z]' ${MAIN_CF} | xargs -d '\\n' postconf -e
6. doveconf -n && postfix check && mailherd agent check, then systemctl enable --now mailherd-agent; systemctl restart dovecot postfix
7. once a user has a route (mailherd users): ${check}
`;
}

interface RoleSteps {
  packages: string;
  passwords: string;
  check: string;
}

const EDGE_STEPS: RoleSteps = {
  packages: '',
  passwords: 'TLS for users is yours (ssl_*), passwords are checked by the backends',
  check: `both name his backend
     doveadm auth lookup -x service=imap USER
     postmap -q USER proxy:sqlite:/etc/postfix/route-transport.cf`,
};

function backendSteps({mailboxes}: BackendSite, dovecot: Dovecot): RoleSteps {
  const [usernames, all] =
    dovecot === '2.3'
      ? ['', 'allow_all_users=yes']
      : ['conf.d/20-lmtp.conf: comment out auth_username_format, since routes know whole addresses\n   ', 'static_allow_all_users = yes'];
  const own = mailboxes === null ? `passdb and your userdb come after it; a userdb of driver static needs ${all}` : 'passdb comes after it';
  return {
    packages: ' dovecot-lmtpd',
    passwords: `${usernames}your own ${own}
   only hosts of the farm may reach 24 (LMTP), 24245 (doveadm), 24246 (seeds), and 143, 4190, 110, 587 as far as you serve them`,
    check: `the first two answer where he lives and fail elsewhere, the third answers anywhere
     doveadm auth lookup -x service=imap USER
     doveadm user -x service=imap USER
     doveadm user -x service=doveadm USER`,
  };
}
