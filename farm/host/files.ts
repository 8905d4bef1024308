import {dirname} from 'node:path';
import {ROUTES_DB, ROUTES_DB_SINCE_BOOT} from '../../wire/route-queries.ts';
import type {HostSpec, Layout} from '../layout.ts';
import {dovecot23Files} from './dovecot-23.ts';
import {dovecot24Files} from './dovecot-24.ts';
import {file, type HostFile} from './file.ts';
import {agentFiles, type Identity} from './mailherd.ts';
import {postfixFiles} from './postfix.ts';
import {mailSite} from './site.ts';
import {systemFiles} from './system.ts';

export interface Installation {
  layout: Layout;
  spec: HostSpec;
  identity: Identity;
  /** 32 hex digits, fresh for every installation. */
  machineId: string;
  /** The operator's password file, `user:{SCHEME}hash` a line: on every backend the customers, its own probe user and those of the edges. */
  passwordFile: string;
}

/** Every file an installer lays down on an edge or backend beside the packages' own. */
export function mailHostFiles({layout, spec, identity, machineId, passwordFile}: Installation): HostFile[] {
  const dovecot = spec.release === 'bookworm' ? dovecot23Files : dovecot24Files;
  const site = mailSite(layout, spec, identity.doveadmPassword);
  return [
    ...systemFiles(layout, spec, machineId),
    ...postfixFiles(layout, spec, site),
    ...dovecot(site),
    {...file('/etc/dovecot/users', passwordFile), mode: 0o640, group: 'dovecot'},
    ...agentFiles(layout, spec, identity),
  ];
}

/** Where no agent opens the route table to Dovecot. */
export function openDoorFile(): HostFile {
  const [door, directory] = [ROUTES_DB_SINCE_BOOT, ROUTES_DB].map(dirname);
  return file('/etc/tmpfiles.d/mailherd-routes.conf', `d ${dirname(door ?? '')} 0755 root root -\nL ${door} - - - - ${directory}\n`);
}
