import {LMTP_PORT} from '../route-queries.ts';

/** What both releases of Dovecot are told in the same words. Included from dovecot.conf. */
export const MAIN = '/etc/dovecot/mailherd.conf';

/** @param loginsForever how this release is told that a process for logins takes any number of them. */
export function common(loginsForever: string): string {
  return `# Every login asks the route table itself: an answer of before would let users in where their mailboxes no longer are
auth_cache_size = 0
# A restart of Dovecot ends no sessions
shutdown_clients = no
# Logins come in herds, after a move or an outage: one process for all of them, where one each would be a hundred at most
service imap-login {
  ${loginsForever}
  process_min_avail = 1
}
# All logins come from a few edges, or a few proxies: no penalty by address
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`;
}

export const LMTP = `# Mail for a user who lives elsewhere goes on to the LMTP of that host
lmtp_proxy = yes
service lmtp {
  inet_listener lmtp {
    port = ${LMTP_PORT}
  }
}
`;

export const FENCE =
  '# The fence: whoever is not at home here for now is refused for now, whatever his password. Other passdbs come after it.';

/** Of the fence's passdb. */
export const FENCE_HOLDS = `  # No other passdb is asked where the fence holds, or cannot tell
  result_failure = return-fail
  result_internalfail = return-fail`;

export const OWN_USERDB = `  # Yours comes after it and says the rest: home, uid, gid
  result_success = continue-ok
  result_failure = return-fail
  result_internalfail = return-fail
`;

export const EDGE_WAITS = `# While a mailbox changes hosts its new host refuses for a moment: the login waits instead of failing
login_proxy_max_reconnects = 20
login_proxy_timeout = 30 secs
`;
