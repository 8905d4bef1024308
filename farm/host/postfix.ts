import type {HostSpec, Layout} from '../layout.ts';
import {file, type HostFile} from './file.ts';
import {EDGE_RECIPIENT, EDGE_TRANSPORT, RELIEF_RELAY, RELIEF_STATUS, RELIEF_TRANSPORT, ROUTES_DB} from './route-queries.ts';

/** Where a host's own probe message ends: the agent's sink on the host itself. */
const PROBE_TRANSPORT = 'probe.mailherd.invalid smtp:[127.0.0.1]:2526\n';

/**
 * Temporary where the next hop says permanent, for what can only be a route that is being changed: two hosts that name each
 * other for a moment (loop), and a backend that does not know the user (the edge alone decides who exists).
 */
const REPLY_FILTER = `# loops between hosts that do not agree on a route yet
/^554 5\\.4\\.[06](.*)$/ 451 4.4.6$1
`;
const REPLY_FILTER_BACKEND = `${REPLY_FILTER}# the edge alone decides who exists
/^550 5\\.1\\.1(.*)$/ 451 4.1.1$1
`;

/** Retries are quick (seconds, not the usual minutes) so that what is deferred in a short story is seen to arrive in it. */
function common(layout: Layout, spec: HostSpec): string {
  return `compatibility_level = 3.6
myhostname = ${spec.name}.${layout.domain}
myorigin = $myhostname
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
biff = no
inet_interfaces = all
inet_protocols = ipv4
recipient_delimiter =
append_dot_mydomain = no
smtputf8_enable = no

# No name service in this network
smtp_dns_support_level = disabled
smtp_host_lookup = native
lmtp_host_lookup = native
smtpd_peername_lookup = no

smtp_tls_security_level = none
smtpd_tls_security_level = none

minimal_backoff_time = 5s
maximal_backoff_time = 15s
queue_run_delay = 5s
maximal_queue_lifetime = 1d
bounce_queue_lifetime = 1d
smtp_connect_timeout = 5s
anvil_status_update_time = 600s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
# Dovecot's preloaded libraries and ours must reach the daemons as they reach master
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_PRELOAD

# The rest of the world
relayhost = [${layout.machineAddress}]:${layout.outsidePort}
`;
}

function edgeMain(layout: Layout, spec: HostSpec): string {
  return `${common(layout, spec)}
mynetworks = 127.0.0.0/8
relay_domains = ${layout.domain}
relay_recipient_maps = proxy:sqlite:/etc/postfix/route-recipient.cf
# A user that is unknown here may only be new: the route table follows a moment later
unknown_relay_recipient_reject_code = 450
transport_maps = texthash:/etc/postfix/transport, proxy:sqlite:/etc/postfix/route-transport.cf
# Never by DNS: a recipient without a next hop waits
relay_transport = retry:4.4.4 no route yet
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions =
smtp_reply_filter = regexp:/etc/postfix/reply-filter
`;
}

function backendMain(layout: Layout, spec: HostSpec): string {
  return `${common(layout, spec)}
mynetworks = 127.0.0.0/8 ${layout.network}
relay_domains = ${layout.domain}
relay_recipient_maps =
# The relief-* maps are empty until the agent is asked to relieve the queue of a sick host
transport_maps = texthash:/etc/postfix/transport, proxy:sqlite:/etc/postfix/relief-transport.cf
sender_dependent_relayhost_maps = proxy:sqlite:/etc/postfix/relief-relay.cf
default_delivery_status_filter = proxy:sqlite:/etc/postfix/relief-status.cf
# Always to the own LMTP, which knows (or proxies to) where the user lives; backends never relay to each other
relay_transport = lmtp:[${spec.address}]:24
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions =
lmtp_reply_filter = regexp:/etc/postfix/reply-filter
smtp_reply_filter = regexp:/etc/postfix/reply-filter
`;
}

/** Everything under /etc/postfix that is not the package's own; master.cf stays as Debian ships it. */
export function postfixFiles(layout: Layout, spec: HostSpec): HostFile[] {
  const isEdge = spec.role === 'edge';
  const map = (query: string): string => `dbpath = ${ROUTES_DB}\nquery = ${query}\n`;
  const shared = [
    file('/etc/postfix/main.cf', isEdge ? edgeMain(layout, spec) : backendMain(layout, spec)),
    file('/etc/postfix/transport', PROBE_TRANSPORT),
    file('/etc/postfix/reply-filter', isEdge ? REPLY_FILTER : REPLY_FILTER_BACKEND),
    file('/etc/mailname', `${spec.name}.${layout.domain}\n`),
  ];
  if (!isEdge) {
    return [
      ...shared,
      file('/etc/postfix/relief-transport.cf', map(RELIEF_TRANSPORT)),
      file('/etc/postfix/relief-relay.cf', map(RELIEF_RELAY)),
      file('/etc/postfix/relief-status.cf', map(RELIEF_STATUS)),
    ];
  }
  return [
    ...shared,
    file('/etc/postfix/route-transport.cf', map(EDGE_TRANSPORT)),
    file('/etc/postfix/route-recipient.cf', map(EDGE_RECIPIENT)),
  ];
}
