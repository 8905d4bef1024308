import type {MailSite} from '../../wire/mail-config/site.ts';
import type {Mailboxes} from '../../wire/route-queries.ts';
import type {HostSpec, Layout} from '../layout.ts';

export const MAILBOXES: Mailboxes = {home: '/var/vmail/%d/%n', uid: 5000, gid: 5000};

/** A host as the operator of this farm would describe it to `mailherd init mail`. */
export function mailSite({network, domain}: Layout, {role, address}: HostSpec, doveadmPassword: string): MailSite {
  const domains = [domain];
  return role === 'edge'
    ? {role, domains}
    : {role: 'backend', domains, address, networks: [network], mailboxes: MAILBOXES, doveadmPassword};
}
