import type {Mailboxes} from '../route-queries.ts';

/** What Postfix and Dovecot of an edge must know to go by the route table. */
export interface EdgeSite {
  role: 'edge';
  /** Mail domains of the farm's users. */
  domains: readonly string[];
}

/** The same of a backend. */
export interface BackendSite {
  role: 'backend';
  domains: readonly string[];
  /** Its own address in the farm's network, as the route table has it. */
  address: string;
  /** Networks of the farm's hosts in CIDR form. */
  networks: readonly string[];
  /** null: a userdb of the operator's own knows them. */
  mailboxes: Mailboxes | null;
  /** What backends show each other when they copy a mailbox. */
  doveadmPassword: string;
}

export type MailSite = EdgeSite | BackendSite;

/** A file of a host; it belongs to root, and a secret is for nobody else. */
export interface ConfigFile {
  path: string;
  text: string;
  isSecret: boolean;
}

export function configFile(path: string, text: string): ConfigFile {
  return {path, text, isSecret: false};
}

/** Of every backend the same; Dovecot reads it as root. */
export function doveadmSecret({doveadmPassword}: BackendSite): ConfigFile {
  return {path: '/etc/dovecot/mailherd-doveadm.conf.ext', text: `doveadm_password = ${doveadmPassword}\n`, isSecret: true};
}
