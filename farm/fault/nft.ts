/** Rule sets (nft(8)) that a host loads on itself; each is a table of its own, so that it can be taken away whole. */

export const DROP_IMAP_TABLE = 'mailherd_fault_drop';
export const CUT_TABLE = 'mailherd_fault_cut';

/**
 * Resets connections to port 143 at random, by packet: a busy session is lost sooner than an idle one, and logins are hit too.
 * The peer gets the reset at once, this host's own process when it next writes.
 * @param perMille chance for each packet, 1..1000.
 */
export function dropImap(perMille: number): string {
  return `table inet ${DROP_IMAP_TABLE} {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 143 tcp flags & (syn | rst) == 0 numgen random mod 1000 <= ${perMille - 1} reject with tcp reset
  }
}
`;
}

/** Drops everything from and to `peer`, or everything but loopback. @param peer IPv4 address, null = everybody. */
export function cut(peer: string | null): string {
  const [from, to] = peer === null ? ['iifname != "lo"', 'oifname != "lo"'] : [`ip saddr ${peer}`, `ip daddr ${peer}`];
  return `table inet ${CUT_TABLE} {
  chain input {
    type filter hook input priority 0; policy accept;
    ${from} drop
  }
  chain output {
    type filter hook output priority 0; policy accept;
    ${to} drop
  }
}
`;
}
