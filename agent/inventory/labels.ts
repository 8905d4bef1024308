import type {Labels} from '../../wire/schema.ts';

/** What a disk says of itself; null: nothing. */
export interface DiskFacts {
  model: string | null;
  firmware: string | null;
}

/** What the machine says about itself, unedited. */
export interface Facts {
  /** Text of os-release(5). */
  osRelease: string | null;
  kernel: string | null;
  system: {manufacturer: string; model: string; version: string} | null;
  firmware: {vendor: string; version: string} | null;
  /** Maker, name, version. */
  board: readonly (string | null)[];
  /** Those under the mail store, or on a host without under the queue. */
  disks: readonly DiskFacts[];
  cpu: {brand: string; cores: number} | null;
  memoryBytes: number | null;
  dovecotVersion: string | null;
  postfixVersion: string | null;
}

const LABEL_LENGTH_MAX = 120;
/** What makers leave in DMI when they fill in nothing. */
const EMPTY =
  /^(?:|-|none|n\/a|not specified|default string|to be filled by o\.?e\.?m\.?|system (?:product name|manufacturer|version)|unknown)$/i;

/**
 * The labels by which hosts are compared. Absent facts give no label. What the operator says in the configuration wins.
 * @param configured name -> value from the agent's configuration.
 */
export function labelsOf(facts: Facts, configured: Labels): Labels {
  const labels: Labels = {};
  const put = (name: string, ...parts: (string | null | undefined)[]): void => {
    const text = parts.filter(part => part !== null && part !== undefined && !EMPTY.test(part.trim())).join(' ');
    const value = text.replace(/\s+/g, ' ').trim().slice(0, LABEL_LENGTH_MAX);
    if (value !== '') labels[name] = value;
  };
  put('os', osLabel(facts.osRelease));
  put('kernel', facts.kernel);
  put('hardware', facts.system?.manufacturer, facts.system?.model);
  put('firmware', facts.firmware?.vendor, facts.firmware?.version);
  put('board', ...facts.board);
  put('disk', together(facts.disks.map(({model}) => model)));
  put('diskFirmware', together(facts.disks.map(({firmware}) => firmware)));
  put('cpu', facts.cpu?.brand);
  if (facts.cpu !== null && facts.cpu.cores > 0) put('cores', String(facts.cpu.cores));
  if (facts.memoryBytes !== null && facts.memoryBytes > 0) put('memoryGib', String(Math.round(facts.memoryBytes / 2 ** 30)));
  put('dovecot', facts.dovecotVersion);
  put('postfix', facts.postfixVersion);
  return {...labels, ...configured};
}

/** Each once, in an order that does not depend on that of the disks. */
function together(names: readonly (string | null)[]): string {
  return [...new Set(names.filter(name => name !== null && !EMPTY.test(name)))].sort().join(' + ');
}

/** `debian-12` from ID and VERSION_ID; only the ID where there is no version (testing, sid). Source: os-release(5). */
function osLabel(text: string | null): string | null {
  if (text === null) return null;
  const value = (key: string): string | null => {
    const line = text.split('\n').find(candidate => candidate.startsWith(`${key}=`));
    return line === undefined
      ? null
      : line
          .slice(key.length + 1)
          .trim()
          .replace(/^(["'])(.*)\1$/, '$2');
  };
  const id = value('ID');
  const version = value('VERSION_ID');
  if (id === null || id === '') return null;
  return version === null || version === '' ? id : `${id}-${version}`;
}

/** `2.3.19.1` from "2.3.19.1 (9b53102964)"; null when it does not begin with a number. */
export function versionOf(output: string): string | null {
  return /^\s*(?:mail_version = )?(\d+(?:\.\d+)+(?:-[\w.]+)?)/.exec(output)?.[1] ?? null;
}
