import type {ConfigFile} from '../../wire/mail-config/site.ts';

/** One file of a host, as an installer would lay it down. Owners are names of the host itself. */
export interface HostFile {
  path: string;
  text: string;
  mode: number;
  owner: string;
  group: string;
}

/** A configuration file of root, readable by all. */
export function file(path: string, text: string): HostFile {
  return {path, text, mode: 0o644, owner: 'root', group: 'root'};
}

/** A file with a secret, of root alone unless another owner is given. */
export function secret(path: string, text: string, owner = 'root', group = owner): HostFile {
  return {path, text, mode: 0o600, owner, group};
}

/** A file that the product writes for operators too. */
export function ofProduct({path, text, isSecret}: ConfigFile): HostFile {
  return isSecret ? secret(path, text) : file(path, text);
}
