import {stringify} from 'yaml';
import type {HostSpec, Layout} from '../layout.ts';
import {file, type HostFile, secret} from './file.ts';

/** Secrets of the control host, and what belongs to them. */
export interface ControlIdentity {
  /** Seed of the coordinator's NATS user; null = a server without credentials. */
  coordinatorSeed: string | null;
  /** The NATS server's configuration as it was made with the credentials; null = one without. */
  natsConfig: string | null;
  /** Text of the coordinator's tokens file: digests of bearer tokens. */
  tokens: string;
  /** The operator's own bearer token. */
  token: string;
}

const NATS_WITHOUT_CREDENTIALS = `listen: 0.0.0.0:4222
jetstream {
  store_dir: /var/lib/nats
}
`;

/** Where the coordinator's API answers in the farm. */
export function apiUrl(spec: HostSpec): string {
  return `http://${spec.address}:8700`;
}

/** What the control host has beside the system: NATS, and the coordinator when the project's software is on it. */
export function controlFiles(layout: Layout, spec: HostSpec, identity: ControlIdentity, hasSoftware: boolean): HostFile[] {
  const nats = file('/etc/nats-server.conf', identity.natsConfig ?? NATS_WITHOUT_CREDENTIALS);
  const reinstall = {...file('/usr/local/bin/farm-reinstall', reinstallScript(layout)), mode: 0o755};
  if (!hasSoftware) return [nats, reinstall];
  const config = {
    name: spec.name,
    nats: {
      servers: ['127.0.0.1:4222'],
      seedFile: identity.coordinatorSeed === null ? null : '/etc/mailherd/coordinator.seed',
    },
    api: {listen: spec.address, port: 8700, tokensFile: '/etc/mailherd/tokens.yaml'},
    reinstallCommand: ['/usr/local/bin/farm-reinstall'],
    roundMs: 1_000,
    sizesMs: 30_000,
  };
  return [
    nats,
    reinstall,
    file('/etc/mailherd/coordinator.yaml', stringify(config)),
    secret('/etc/mailherd/tokens.yaml', identity.tokens, 'mailherd'),
    secret('/etc/mailherd/cli.yaml', stringify({api: apiUrl(spec), token: identity.token})),
    ...(identity.coordinatorSeed === null ? [] : [secret('/etc/mailherd/coordinator.seed', `${identity.coordinatorSeed}\n`, 'mailherd')]),
  ];
}

/** The reinstall driver: asks the data centre's provisioner and waits for its answer. Needs nothing but bash. */
function reinstallScript(layout: Layout): string {
  return `#!/bin/bash
# farm-reinstall HOST RELEASE: has HOST installed anew with RELEASE. The safe-to-wipe token is in MAILHERD_WIPE_TOKEN.
# Exit code 0: installed and booted.
set -euo pipefail
[[ $# -eq 2 && $1 =~ ^[a-z0-9-]+$ && $2 =~ ^[a-z0-9.-]+$ ]] || { echo 'usage: farm-reinstall HOST RELEASE' >&2; exit 64; }
token=\${MAILHERD_WIPE_TOKEN:-}
[[ $token =~ ^[A-Za-z0-9:._=/+-]+$ ]] || { echo 'no usable token in MAILHERD_WIPE_TOKEN' >&2; exit 77; }
body="{\\"host\\":\\"$1\\",\\"release\\":\\"$2\\",\\"token\\":\\"$token\\"}"
exec 3<>/dev/tcp/${layout.machineAddress}/${layout.provisionerPort}
printf 'POST /reinstall HTTP/1.1\\r\\nHost: provisioner\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' \\
  "\${#body}" "$body" >&3
reply=$(cat <&3)
echo "\${reply##*$'\\r\\n\\r\\n'}"
[[ $reply == 'HTTP/1.1 200'* ]]
`;
}
