import {size} from '../../base/format.ts';
import type {HostReport} from '../../wire/report.ts';

/** One source of the agent's as it was found on this host. */
export interface Finding {
  source: string;
  /** `absent`: this kernel, file system or host has no such thing; `unused`: the configuration or the role does without. */
  state: 'read' | 'absent' | 'unreadable' | 'unused';
  /** What was read, or why nothing was. */
  detail: string;
  /** What a person can do; empty when there is nothing to do. */
  todo: string;
}

interface Source {
  source: string;
  /** Its name in `agent.failing`. */
  collector: string;
  /** What was read in one line; null: nothing. */
  seen: (report: HostReport) => string | null;
  /** Why there may be nothing. */
  absent: string;
  /** That there is nothing is no lack of the host: what there is was kept from us. */
  isDenied?: (report: HostReport) => boolean;
  /** When it cannot be read. */
  todo: string;
  /** When there is nothing, where that is another thing. */
  absentTodo?: string;
  needs?: 'mail' | 'backend';
}

const RIGHTS = 'run it as root, which reads no less than the service does';

const SOURCES: readonly Source[] = [
  {
    source: 'kernel of the host',
    collector: 'host',
    seen: ({kernel}) => {
      const figures = Object.entries(kernel);
      const unknown = figures.filter(([, value]) => value === null).map(([name]) => name);
      if (unknown.length === figures.length) return null;
      return unknown.length === 0
        ? `${figures.length} figures`
        : `${figures.length - unknown.length} figures; not now: ${unknown.join(', ')}`;
    },
    absent: 'nothing of it is known',
    todo: RIGHTS,
  },
  {
    source: 'ext4/xfs counters',
    collector: 'host',
    seen: ({system}) => {
      const {errors, commitMs, logForcesPerSecond} = system?.disk ?? {};
      if (errors !== undefined) return `ext4: ${errors} errors since its last check${commitMs === undefined ? '' : ', commit times'}`;
      if (commitMs !== undefined) return 'ext4: commit times; no counters of errors';
      return logForcesPerSecond === undefined ? null : 'xfs: log writes and waits';
    },
    absent: 'the mail store is on neither, or its kernel files are not here',
    todo: '',
  },
  {
    source: 'control groups',
    collector: 'services',
    seen: ({system}) => namesOf(system?.services),
    absent: 'no control group of Postfix or Dovecot',
    todo: 'start Postfix and Dovecot as services of systemd',
    needs: 'mail',
  },
  {
    source: 'limits',
    collector: 'limits',
    seen: ({system}) => namesOf(system?.limits),
    absent: 'none is known',
    todo: RIGHTS,
  },
  {
    source: 'block queues',
    collector: 'setup',
    seen: ({system}) => {
      const told = Object.entries(system?.setup ?? {}).filter(([, {requestsMax}]) => requestsMax !== undefined);
      return told.length === 0 ? null : told.map(([name, {type, disk}]) => `${name}: ${type} on ${disk}`).join(', ');
    },
    absent: 'the disks under mail store and queue have none',
    todo: '',
  },
  {
    source: 'listeners',
    collector: 'listeners',
    seen: ({system}) =>
      system?.listeners === undefined
        ? null
        : `${Object.keys(system.listeners.tcp).length} TCP, ${system.listeners.unixWatched} unix sockets of the mail system`,
    absent: 'none is known',
    todo: 'let the unit have AF_NETLINK; load inet_diag, tcp_diag and unix_diag',
  },
  {
    source: 'ports in use',
    collector: 'ports',
    seen: ({system}) => {
      const {portsTaken, portsMax} = system?.outbound ?? {};
      return portsTaken === undefined ? null : `${Math.max(0, ...Object.values(portsTaken))} of ${portsMax} at the fullest address`;
    },
    absent: 'the range of ephemeral ports is not known',
    todo: 'load inet_diag and tcp_diag',
  },
  {
    source: 'mail processes',
    collector: 'files',
    seen: ({system}) => (system?.files === undefined ? null : `looked into ${Math.round(100 * system.files.lookedShare)} % of them`),
    absent: 'no process of Postfix or Dovecot could be looked into',
    isDenied: ({system}) => system?.services !== undefined,
    todo: 'start the services; the agent needs CAP_SYS_PTRACE',
    needs: 'mail',
  },
  {
    source: 'log of the kernel',
    collector: 'kernelLog',
    seen: ({system}) => {
      const troubles = system?.kernelLog?.troubles;
      if (troubles === undefined) return null;
      return troubles.length === 0 ? 'complains of nothing' : troubles.map(({trouble, of}) => `${trouble} of ${of}`).join(', ');
    },
    absent: 'this host is a container: the log is that of its machine',
    todo: 'let the unit have /dev/kmsg and CAP_SYSLOG',
    absentTodo: '',
  },
  {
    source: 'mail store',
    collector: 'store',
    seen: ({mailStore}) => (mailStore === null ? null : `${size(mailStore.freeBytes)} free of ${size(mailStore.totalBytes)}`),
    absent: 'nothing of it is known',
    todo: 'set mail.store to where the mailboxes lie',
    needs: 'backend',
  },
  {
    source: 'queue walk',
    collector: 'queue',
    seen: ({queue}) =>
      queue === null
        ? null
        : `${queue.incoming + queue.active + queue.deferred + queue.hold} messages${queue.complete ? '' : ' and more: not all were counted'}`,
    absent: 'nothing of it is known',
    todo: 'set mail.spool to queue_directory of Postfix',
    needs: 'mail',
  },
  {
    source: 'file system of the queue',
    collector: 'queueFileSystem',
    seen: ({system}) => (system?.setup?.queue === undefined ? null : `${system.setup.queue.type ?? 'some'}`),
    absent: 'nothing of it is known',
    todo: 'set mail.spool to queue_directory of Postfix',
    needs: 'mail',
  },
  {
    source: 'mail log',
    collector: 'mailLog',
    seen: ({mailFigures}) => (mailFigures?.log ? 'is followed' : null),
    absent: 'it is not followed',
    todo: 'set mail.logFiles, or let journald run and journalctl be installed',
    needs: 'mail',
  },
  {
    source: 'settings of Postfix',
    collector: 'postconf',
    seen: ({mailFigures, agent}) => (mailFigures && agent.failing.postconf === undefined ? 'postconf answers' : null),
    absent: 'not asked',
    todo: 'install Postfix, or look at what postconf complains of',
    needs: 'mail',
  },
  {
    source: 'processes of Postfix',
    collector: 'postfix',
    seen: ({mailFigures}) => (mailFigures?.postfix ? `${mailFigures.postfix.processes} processes` : null),
    absent: 'not counted',
    todo: 'start Postfix; set mail.spool to its queue_directory',
    needs: 'mail',
  },
  {
    source: 'service status of Dovecot',
    collector: 'dovecot',
    seen: ({mailFigures}) => (mailFigures?.dovecot ? `${mailFigures.dovecot.processes} processes` : null),
    absent: 'not asked',
    todo: 'start Dovecot; set mail.dovecotRun to its base_dir',
    needs: 'mail',
  },
  {
    source: 'stats of Dovecot',
    collector: 'dovecotMetrics',
    seen: ({mailFigures}) =>
      mailFigures?.latencies ? mailFigures.latencies.map(({of}) => of).join(', ') || 'nothing to measure yet' : null,
    absent: 'not asked',
    todo: 'start Dovecot; set mail.dovecotRun to its base_dir',
    needs: 'mail',
  },
];

/** What one whole report says of the sources behind it: all of them, in a fixed order, and what the kernel lacks or refuses. */
export function findingsOf(report: HostReport): Finding[] {
  const {failing} = report.agent;
  const found = SOURCES.map(({source, collector, seen, absent, isDenied, todo, absentTodo, needs}): Finding => {
    const isOther = (needs !== undefined && report.role === 'control') || (needs === 'backend' && report.role !== 'backend');
    if (isOther) return {source, state: 'unused', detail: `not on a host of role ${report.role}`, todo: ''};
    const reason = failing[collector];
    if (reason !== undefined) return {source, state: 'unreadable', detail: reason, todo};
    const detail = seen(report);
    if (detail !== null) return {source, state: 'read', detail, todo: ''};
    if (isDenied?.(report) === true) return {source, state: 'unreadable', detail: absent, todo};
    return {source, state: 'absent', detail: absent, todo: absentTodo ?? todo};
  });
  return [...found, ...kernelFiles(report)];
}

function kernelFiles({agent, system}: HostReport): Finding[] {
  const lacking = Object.entries(system?.lacking ?? {}).filter(([name]) => name !== 'services' && name !== 'kernelLog');
  const absent = lacking.map(
    ([name, files]): Finding => ({source: 'kernel files', state: 'absent', detail: lackOf(name, files), todo: ''}),
  );
  const odd = agent.failing.kernel;
  return odd === undefined ? absent : [...absent, {source: 'kernel files', state: 'unreadable', detail: odd, todo: RIGHTS}];
}

/** @param name a folder and the code of the reason, or a source. */
function lackOf(name: string, files: string): string {
  const [folder = '', code = ''] = name.split(' ');
  const reason = {ENOENT: 'not in this kernel, or not shown to this host', EOPNOTSUPP: 'switched off'}[code];
  return reason === undefined ? `${name}: ${files}` : `${reason}: ${files} of ${folder}`;
}

function namesOf(values: object | undefined): string | null {
  const names = Object.keys(values ?? {});
  return names.length === 0 ? null : names.join(', ');
}

/** True when all that is to be read on this host can be; what it does not have is no fault. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({state}) => state !== 'unreadable');
}
