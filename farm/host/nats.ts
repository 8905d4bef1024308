import type {HostSpec} from '../layout.ts';
import {file, type HostFile} from './file.ts';

/** A server without credentials, for a farm without the project's software: only then does nobody make any. */
export function openNats(spec: HostSpec): HostFile[] {
  return [
    file(
      '/etc/nats-server.conf',
      `server_name: ${spec.name}
listen: 0.0.0.0:4222
jetstream {
  store_dir: /var/lib/nats
}
`,
    ),
  ];
}
