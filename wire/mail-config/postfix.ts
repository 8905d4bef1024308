import {EDGE_RECIPIENT, EDGE_TRANSPORT, LMTP_PORT, RELIEF_RELAY, RELIEF_STATUS, RELIEF_TRANSPORT, ROUTES_DB} from '../route-queries.ts';
import {type BackendSite, type ConfigFile, configFile, type EdgeSite, type MailSite} from './site.ts';

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

const edge = ({
  domains,
}: EdgeSite): string => `# Mail for the farm's users; none of these domains may stand in mydestination or virtual_*_domains
relay_domains = ${domains.join(' ')}
relay_recipient_maps = proxy:sqlite:/etc/postfix/route-recipient.cf
# A user that is unknown here may only be new: the route table follows a moment later
unknown_relay_recipient_reject_code = 450
# The agent's probe, then the backend of each user
transport_maps = texthash:/etc/postfix/probe-transport, proxy:sqlite:/etc/postfix/route-transport.cf
# Never by DNS: a recipient without a next hop waits
relay_transport = retry:4.4.4 no route yet
# A loop between hosts that do not agree on a route yet is no reason to return mail
smtp_reply_filter = regexp:/etc/postfix/route-replies
`;

const backend = ({
  domains,
  networks,
  address,
}: BackendSite): string => `# Mail for the farm's users; none of these domains may stand in mydestination or virtual_*_domains
relay_domains = ${domains.join(' ')}
# The edges have asked whether the recipient exists
relay_recipient_maps =
# Edges bring mail, and hosts whose queue is relieved
mynetworks = 127.0.0.0/8 ${networks.join(' ')}
# Always to the own LMTP, which knows (or proxies to) where the user lives; backends never relay to each other. By the address that
# the route table has of this host: Dovecot tells by it that it is meant itself.
relay_transport = lmtp:[${address}]:${LMTP_PORT}
# The agent's probe. The relief-* maps are empty until the agent is asked to relieve the queue of a sick host.
transport_maps = texthash:/etc/postfix/probe-transport, proxy:sqlite:/etc/postfix/relief-transport.cf
sender_dependent_relayhost_maps = proxy:sqlite:/etc/postfix/relief-relay.cf
default_delivery_status_filter = proxy:sqlite:/etc/postfix/relief-status.cf
# A loop between hosts that do not agree on a route yet, or a user who is not known here yet, is no reason to return mail
lmtp_reply_filter = regexp:/etc/postfix/route-replies
smtp_reply_filter = regexp:/etc/postfix/route-replies
`;

/** Parameters of main.cf, which cannot include others: a line each, comments between them. */
export function postfixParameters(site: MailSite): string {
  return site.role === 'edge' ? edge(site) : backend(site);
}

/** The tables that they name. */
export function postfixTables({role}: MailSite): ConfigFile[] {
  const map = (name: string, query: string): ConfigFile =>
    configFile(`/etc/postfix/${name}.cf`, `dbpath = ${ROUTES_DB}\nquery = ${query}\n`);
  const isEdge = role === 'edge';
  return [
    configFile('/etc/postfix/probe-transport', PROBE_TRANSPORT),
    configFile('/etc/postfix/route-replies', isEdge ? REPLY_FILTER : REPLY_FILTER_BACKEND),
    ...(isEdge
      ? [map('route-transport', EDGE_TRANSPORT), map('route-recipient', EDGE_RECIPIENT)]
      : [map('relief-transport', RELIEF_TRANSPORT), map('relief-relay', RELIEF_RELAY), map('relief-status', RELIEF_STATUS)]),
  ];
}
