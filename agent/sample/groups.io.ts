import {readdir} from 'node:fs/promises';
import {join} from 'node:path';

/** A control group of Postfix or Dovecot. */
export interface MailGroup {
  /** `postfix`, `dovecot`, or `postfix@name` of a further instance. */
  name: string;
  /** Below /sys/fs/cgroup. */
  path: string;
}

/** Where the hierarchy with the services stands: alone, beside the old one, or only systemd's own, which knows no figures. */
export const HIERARCHIES = ['', 'unified', 'systemd'];
/** Where systemd puts services; those of a template have a slice of their own. There the default instance of Postfix is called "-". */
const SLICES = ['system.slice', 'system.slice/system-postfix.slice'];
const SERVICE = /^(postfix|dovecot)(?:@([\w.-]+))?\.service$/;

/** The control groups of this host's mail services; [] when there are none. @param root prefix of /sys. */
export async function mailGroups(root: string): Promise<MailGroup[]> {
  for (const hierarchy of HIERARCHIES) {
    const found = new Map<string, MailGroup>();
    for (const slice of SLICES.map(name => join(hierarchy, name))) {
      const names = await readdir(join(root, 'sys/fs/cgroup', slice)).catch(absent);
      for (const file of names) {
        const [, service, instance] = SERVICE.exec(file) ?? [];
        if (service === undefined) continue;
        const name = instance === undefined || instance === '-' ? service : `${service}@${instance}`;
        found.set(name, {name, path: join(slice, file)});
      }
    }
    if (found.size > 0) return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
  return [];
}

function absent(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
  throw error;
}
