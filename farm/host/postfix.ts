import {postfixParameters, postfixTables} from '../../wire/mail-config/postfix.ts';
import type {MailSite} from '../../wire/mail-config/site.ts';
import type {HostSpec, Layout} from '../layout.ts';
import {file, type HostFile, ofProduct} from './file.ts';

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
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions =
`;
}

/** A backend's are Mailherd's. */
const EDGE = 'mynetworks = 127.0.0.0/8\n';

/** Everything under /etc/postfix that is not the package's own; master.cf stays as Debian ships it. */
export function postfixFiles(layout: Layout, spec: HostSpec, site: MailSite): HostFile[] {
  return [
    file('/etc/postfix/main.cf', `${common(layout, spec)}${spec.role === 'edge' ? EDGE : ''}\n${postfixParameters(site)}`),
    ...postfixTables(site).map(ofProduct),
    file('/etc/mailname', `${spec.name}.${layout.domain}\n`),
  ];
}
