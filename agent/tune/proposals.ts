import type {Facts, Listener} from './facts.ts';
import {type Draft, type History, LASTING, lasting, mean, present} from './rules.ts';

const QUEUED_SHARE = 0.5;
const LISTENER_LOOKS = 10;
const FLAT_QUEUE_FILES = 10_000;
const SWAP_PRESSED = 5;
const SYS = '/proc/sys';

/** What a person has to do, since it needs a restart, a remount or a configuration; and what is set dangerously. */
export function proposals(history: History, now: Facts): Draft[] {
  return [...fullListeners(history, now), ...mounts(now), ...memory(history, now), ...queues(now), ...alarms(now)];
}

/** Knobs that would change nothing here, with the reason. */
export function inertKnobs(now: Facts): Record<string, string> {
  const inert: Record<string, string> = {};
  const somaxconn = numberIn(now, `${SYS}/net/core/somaxconn`);
  const full = now.listeners?.find(({queued, limit}) => limit > 0 && queued >= limit * QUEUED_SHARE);
  if (full !== undefined && somaxconn !== null && full.limit < somaxconn)
    inert['net.core.somaxconn'] = `${full.name} has a backlog of its own, ${full.limit}, below ${somaxconn}`;
  const cookies = now.settings.get(`${SYS}/net/ipv4/tcp_syncookies`);
  if (cookies !== undefined && cookies !== '0')
    inert['net.ipv4.tcp_max_syn_backlog'] = 'syncookies are on: the kernel does not ask this limit';
  if ((present(now, 'fs.file-max') ?? 0) > 1e12) inert['fs.file-max'] = 'there is no limit';
  return inert;
}

function numberIn(now: Facts, path: string): number | null {
  const text = now.settings.get(path);
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}

/** Half full or more in three of the last ten looks. */
function fullListeners(history: History, now: Facts): Draft[] {
  const looks = history.slice(-LISTENER_LOOKS);
  const isFull = ({queued, limit}: Listener): boolean => limit > 0 && queued >= limit * QUEUED_SHARE;
  const somaxconn = numberIn(now, `${SYS}/net/core/somaxconn`);
  return (now.listeners ?? []).flatMap((listener): Draft[] => {
    const times = looks.filter(look => look.listeners?.some(each => each.name === listener.name && isFull(each))).length;
    if (times < 3) return [];
    const evidence = `${listener.name}: half of ${listener.limit} or more waiting in ${times} of ${looks.length} looks`;
    const isCapped = somaxconn !== null && listener.limit >= somaxconn;
    return isCapped
      ? [person('net.core.somaxconn', String(somaxconn), `${2 * somaxconn}, then restart ${listener.name}`, 'LISTENER_CAPPED', evidence)]
      : [
          person(
            `listener.${safe(listener.name)}`,
            String(listener.limit),
            'more processes: maxproc or default_process_limit',
            'LISTENER_FULL',
            evidence,
          ),
        ];
  });
}

function safe(name: string): string {
  return name.replace(/[^a-zA-Z0-9._-]/g, '-').slice(0, 60);
}

function mounts(now: Facts): Draft[] {
  return now.mounts.flatMap(({place, type, options}): Draft[] => {
    const drafts: Draft[] = [];
    const knob = `mount.${safe(place)}`;
    if (!options.includes('noatime') && !['tmpfs', 'overlay', 'ramfs'].includes(type)) {
      drafts.push(person(knob, 'atime', 'noatime', 'READS_WRITE', `${place} lies on ${type} that writes when files are read`));
    }
    for (const danger of ['nobarrier', 'barrier=0', 'data=writeback', 'nolog', 'noload'])
      if (options.includes(danger))
        drafts.push(alarm(knob, danger, `without ${danger}`, 'MOUNT_LOSES_MAIL', `${place}: accepted mail can be lost in a power cut`));
    return drafts;
  });
}

function memory(history: History, now: Facts): Draft[] {
  const drafts: Draft[] = [];
  const pressed = lasting(history, 'psiMemorySome10');
  const swapIns = lasting(history, 'swapInsPerSecond');
  const stalls = lasting(history, 'compactStallsPerSecond');
  const swappiness = numberIn(now, `${SYS}/vm/swappiness`);
  if (pressed.length === 0) return drafts;
  if (swappiness !== null && swappiness > 10 && swapIns.length > 0 && mean(swapIns) > 0 && mean(pressed) > SWAP_PRESSED) {
    const evidence = `${mean(swapIns).toFixed(1)} pages a second swapped in, memory pressure ${mean(pressed).toFixed(1)} %`;
    drafts.push(person('vm.swappiness', String(swappiness), '10', 'SWAPPED_IN', evidence));
  }
  const huge = now.settings.get('/sys/kernel/mm/transparent_hugepage/enabled');
  if (huge?.includes('[always]') && stalls.length > 0 && Math.min(...stalls) > 0 && mean(pressed) > 1) {
    const evidence = `${mean(stalls).toFixed(1)} stalls a second to make huge pages`;
    drafts.push(person('vm.transparent_hugepage', 'always', 'madvise', 'COMPACT_STALLS', evidence));
  }
  return drafts;
}

function queues({queueActive, queueIncoming}: Facts): Draft[] {
  return [
    ['active', queueActive],
    ['incoming', queueIncoming],
  ].flatMap(([name, files]): Draft[] =>
    typeof files !== 'number' || files <= FLAT_QUEUE_FILES
      ? []
      : [person(`postfix.hash_queue_names.${name}`, null, `${name}, hash_queue_depth 1`, 'QUEUE_FLAT', `${files} files in one directory`)],
  );
}

/** Settings below what the kernel ships, or that switch a protection off. */
function alarms(now: Facts): Draft[] {
  const drafts: Draft[] = [];
  const below: readonly [path: string, knob: string, least: number, why: string][] = [
    [`${SYS}/net/ipv4/tcp_syncookies`, 'net.ipv4.tcp_syncookies', 1, 'a flood of connection requests shuts users out'],
    [`${SYS}/vm/dirty_writeback_centisecs`, 'vm.dirty_writeback_centisecs', 1, 'dirty pages are never written by age'],
    [`${SYS}/net/core/somaxconn`, 'net.core.somaxconn', 128, 'below what any kernel ships'],
  ];
  for (const [path, knob, least, why] of below) {
    const value = numberIn(now, path);
    if (value !== null && value < least) drafts.push(alarm(knob, String(value), `${least} or more`, 'SET_DANGEROUSLY', why));
  }
  for (const [knob, least] of [
    ['fs.inotify.max_user_instances', 128],
    ['fs.inotify.max_user_watches', 8_192],
  ] as const) {
    const value = present(now, knob);
    if (value !== null && value < least)
      drafts.push(alarm(knob, String(value), `${least} or more`, 'LIMIT_LOWERED', 'below what any kernel ships: IDLE goes deaf'));
  }
  return drafts;
}

function person(knob: string, from: string | null, to: string, because: string, evidence: string): Draft {
  return {level: 'person', knob, from, to, because, evidence};
}

function alarm(knob: string, from: string, to: string, because: string, evidence: string): Draft {
  return {level: 'alarm', knob, from, to, because, evidence};
}

/** Looks that proposals need. */
export const HISTORY_MAX = 5 * LASTING;
