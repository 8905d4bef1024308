import {stringify} from 'yaml';
import type {HostSpec, Layout} from '../layout.ts';
import {file, type HostFile, secret} from './file.ts';

/** What `mailherd init` made for the control host, as text of the files. */
export interface ControlIdentity {
  natsServer: string;
  natsUsers: string;
  coordinatorSeed: string;
  tokens: string;
  cli: string;
}

const NATS_WITHOUT_CREDENTIALS = `listen: 0.0.0.0:4222
jetstream {
  store_dir: /var/lib/nats
}
`;

const API_PORT = 8_700;

/** Where the coordinator's API answers in the farm. */
export function apiUrl(spec: HostSpec): string {
  return `http://${spec.address}:${API_PORT}`;
}

/** What the control host has beside the system: NATS, and the coordinator when the project's software is on it (identity not null). */
export function controlFiles(layout: Layout, spec: HostSpec, identity: ControlIdentity | null): HostFile[] {
  const reinstall = {...file('/usr/local/bin/farm-reinstall', reinstallScript(layout)), mode: 0o755};
  if (identity === null) return [reinstall, file('/etc/nats-server.conf', NATS_WITHOUT_CREDENTIALS)];
  const config = {
    name: spec.name,
    nats: {servers: ['127.0.0.1:4222'], seedFile: '/etc/mailherd/coordinator.seed'},
    api: {listen: spec.address, port: API_PORT, tokensFile: '/etc/mailherd/tokens.yaml'},
    reinstallCommand: ['/usr/local/bin/farm-reinstall'],
    roundMs: 1_000,
    sizesMs: layout.sizesMs,
  };
  return [
    reinstall,
    file('/etc/nats-server.conf', identity.natsServer),
    secret('/etc/nats-users.conf', identity.natsUsers, 'nats'),
    file('/etc/mailherd/coordinator.yaml', stringify(config)),
    secret('/etc/mailherd/coordinator.seed', identity.coordinatorSeed, 'mailherd'),
    secret('/etc/mailherd/tokens.yaml', identity.tokens, 'mailherd'),
    secret('/etc/mailherd/cli.yaml', identity.cli),
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
