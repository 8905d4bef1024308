#pragma once

#include <array>

#include "key_values.h"

namespace mailherd {

/// Source: /proc/net/snmp, RFC 4022 (TCP-MIB).
inline constexpr std::array kSnmpFields = {
    KeyField{"Tcp:ActiveOpens", "tcpActiveOpens", 1},  KeyField{"Tcp:PassiveOpens", "tcpPassiveOpens", 1},
    KeyField{"Tcp:AttemptFails", "tcpAttemptFails", 1}, KeyField{"Tcp:EstabResets", "tcpResets", 1},
    KeyField{"Tcp:CurrEstab", "tcpEstablished", 1},    KeyField{"Tcp:InSegs", "tcpSegmentsIn", 1},
    KeyField{"Tcp:OutSegs", "tcpSegmentsOut", 1},      KeyField{"Tcp:RetransSegs", "tcpRetransmits", 1},
    KeyField{"Tcp:OutRsts", "tcpResetsSent", 1},
};

/// Source: /proc/net/netstat, Documentation/networking/snmp_counter.rst.
inline constexpr std::array kNetstatFields = {
    KeyField{"TcpExt:ListenOverflows", "tcpListenOverflows", 1},
    KeyField{"TcpExt:ListenDrops", "tcpListenDrops", 1},
    KeyField{"TcpExt:TCPTimeouts", "tcpTimeouts", 1},
    KeyField{"TcpExt:TCPSynRetrans", "tcpSynRetransmits", 1},
    KeyField{"TcpExt:TCPBacklogDrop", "tcpBacklogDrops", 1},
    KeyField{"TcpExt:TCPReqQFullDrop", "tcpSynQueueDrops", 1},
    KeyField{"TcpExt:TCPReqQFullDoCookies", "tcpSynQueueCookies", 1},
    KeyField{"TcpExt:TCPAbortOnMemory", "tcpAbortsOnMemory", 1},
    KeyField{"TcpExt:PruneCalled", "tcpPrunes", 1},
    KeyField{"TcpExt:RcvPruned", "tcpReceivePrunes", 1},
    KeyField{"TcpExt:TCPAbortOnTimeout", "tcpAbortsOnTimeout", 1},
    KeyField{"TcpExt:TCPMemoryPressures", "tcpMemoryPressures", 1},
    KeyField{"TcpExt:TCPTimeWaitOverflow", "tcpTimeWaitOverflows", 1},
    KeyField{"TcpExt:TCPLostRetransmit", "tcpLostRetransmits", 1},
};

}  // namespace mailherd
