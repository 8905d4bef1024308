import type {QueueWalk} from '../../native/binding.ts';
import type {QueueFigures} from '../../wire/mail-figures.ts';
import {orRounded, rounded} from '../report/rounded.ts';

/** With fewer messages the fullest directory is so by chance. */
const SKEW_MESSAGES_MIN = 500;

/**
 * What a walk tells beyond its counts.
 * @param activeMax qmgr_message_active_limit; null while it is not known.
 */
export function queueFiguresOf(walk: QueueWalk, activeMax: number | null, destinations: QueueFigures['destinations']): QueueFigures {
  const {facts, deferred, buckets, bucketMax} = walk;
  const messages = walk.maildrop + walk.incoming + walk.active + deferred + walk.hold;
  return {
    bytes: walk.bytes === null ? null : Math.round(walk.bytes),
    askedShare: facts === null || messages === 0 ? null : rounded(Math.min(facts.asked / messages, 1)),
    halfWritten: facts?.halfWritten ?? null,
    forceExpire: facts?.forceExpire ?? null,
    unthrottle: facts?.unthrottle ?? null,
    stuckIncoming: walk.stuckIncoming,
    foreign: walk.foreign,
    unaged: walk.unaged,
    corrupt: walk.corrupt,
    ageMsP95: orRounded(walk.ageMsP95),
    ageMsMax: orRounded(walk.ageMsMax),
    activeShare: activeMax === null || activeMax <= 0 ? null : rounded(Math.min(walk.active / activeMax, 1)),
    ...scheduleOf(walk),
    directoryBytes: walk.directoryBytes,
    directoryBytesMax: walk.directoryBytesMax,
    bucketSkew: buckets === 0 || deferred < SKEW_MESSAGES_MIN ? null : rounded(bucketMax / (deferred / buckets)),
    destinations,
  };
}

/** Bytes of each queue, as far as they are known; of those that hold some. */
export function queueBytesOf({queueBytes}: Pick<QueueWalk, 'queueBytes'>): Record<string, number> {
  const known = Object.entries(queueBytes).flatMap(([queue, bytes]) => (bytes === null || bytes === 0 ? [] : [[queue, Math.round(bytes)]]));
  return Object.fromEntries(known);
}

/**
 * What is amiss with following the directories of the queue, whose figures are right nonetheless; null: nothing.
 * @param wrongBefore what the walk before told of `listingsWrong`.
 */
export function followTrouble({listingsWrong, followRefusal}: QueueWalk, wrongBefore: number): string | null {
  if (listingsWrong > wrongBefore)
    return `${listingsWrong - wrongBefore} directories did not hold what the kernel had told of them; they were listed again`;
  if (followRefusal === null) return null;
  return `inotify refuses with ${followRefusal}, so that the queue is listed each time: see fs.inotify.max_user_watches and max_user_instances`;
}

/** The schedule of the messages that were asked, projected onto all of deferred. */
function scheduleOf({facts, deferred}: QueueWalk): Pick<QueueFigures, 'retry' | 'herd'> {
  if (facts === null || facts.scheduled === 0) return {retry: null, herd: null};
  const all = (count: number): number => Math.round((count / facts.scheduled) * deferred);
  const {due, within1, within5, within15, within60, later} = facts;
  return {
    retry: {
      due: all(due),
      within1: all(within1),
      within5: all(within5),
      within15: all(within15),
      within60: all(within60),
      later: all(later),
    },
    herd: facts.herdInMs === null ? null : {messages: all(facts.herd), inMs: facts.herdInMs},
  };
}
