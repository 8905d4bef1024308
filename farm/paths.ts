/** Where the farm keeps things on this machine; all absolute. */
export interface Paths {
  /** Images and software layers: may be deleted at any time, is built again. */
  cache: string;
  /** Everything of the running farm; `down` removes it. */
  run: string;
  state: string;
  /** Credentials made for this run, the identity of each host, passwords. */
  secrets: string;
  ledger: string;
}

/** @param env MAILHERD_FARM_CACHE and MAILHERD_FARM_DIR override the defaults. */
export function farmPaths(env: Readonly<Record<string, string | undefined>>): Paths {
  const cache = env.MAILHERD_FARM_CACHE ?? '/var/cache/mailherd-farm';
  const run = env.MAILHERD_FARM_DIR ?? '/var/lib/mailherd-farm';
  return {cache, run, state: `${run}/state.json`, secrets: `${run}/secrets`, ledger: `${run}/ledger.jsonl`};
}

/** What belongs to one host. */
export interface HostPaths {
  dir: string;
  upper: string;
  work: string;
  /** The merged file system the host boots from. */
  root: string;
  console: string;
  /** Disk image of the mail store, mounted at /var/vmail of the host. */
  storeImage: string;
  store: string;
}

export function hostPaths(paths: Paths, host: string): HostPaths {
  const dir = `${paths.run}/hosts/${host}`;
  return {
    dir,
    upper: `${dir}/upper`,
    work: `${dir}/work`,
    root: `${dir}/root`,
    console: `${dir}/console.log`,
    storeImage: `${dir}/store.img`,
    store: `${dir}/root/var/vmail`,
  };
}
