import {addTo} from '../../base/groups.ts';
import type {Instant} from '../../base/units.ts';
import type {LedgerEntry} from './ledger.ts';

/** One message as it stands in a mailbox in the end. */
export interface FoundMessage {
  uid: number;
  messageId: string;
  flags: readonly string[];
}

export interface FoundFolder {
  folder: string;
  uidValidity: string;
  messages: readonly FoundMessage[];
}

export interface FoundMailbox {
  user: string;
  folders: readonly FoundFolder[];
}

/** One thing that is not as it was promised. */
export interface Finding {
  user: string;
  messageId: string;
  detail: string;
}

/** The ledger held against the mailboxes. Everything in the lists is a failure of the farm; `unsure` is not. */
export interface Judgement {
  lost: Finding[];
  duplicated: Finding[];
  uidsChanged: Finding[];
  wrongFlags: Finding[];
  accepted: number;
  appended: number;
  flagged: number;
  /** Messages whose UID was known at some time. */
  known: number;
  /** Operations that were never answered, and how many of the messages among them are there. */
  unsure: number;
  unsurePresent: number;
}

/** What must be true of one message; found again by its Message-ID, which traffic and mailboxes use once a mailbox. */
interface Promised {
  user: string;
  messageId: string;
  /** True when its presence was promised, false when it may or may not be there. */
  isSure: boolean;
  place: {folder: string; uidValidity: string; uid: number} | null;
  /** Flags that were read or set; null = nothing is known. */
  flags: Set<string> | null;
  /** Flags whose change was never answered, with the time: they may be either way. */
  open: Map<string, Instant>;
  /** Flags acknowledged before the whole set was known. */
  single: Map<string, boolean>;
}

const NEVER_COMPARED = '\\Recent';

/** Holds what was promised against what is there. */
export function judge(entries: readonly LedgerEntry[], mailboxes: readonly FoundMailbox[]): Judgement {
  const promises = collect(entries);
  const result: Judgement = {
    lost: [],
    duplicated: [],
    uidsChanged: [],
    wrongFlags: [],
    accepted: entries.filter(entry => entry.kind === 'accepted').length,
    appended: entries.filter(entry => entry.kind === 'appended').length,
    flagged: entries.filter(entry => entry.kind === 'flagged').length,
    known: 0,
    unsure: entries.filter(entry => entry.kind.startsWith('unsure')).length,
    unsurePresent: 0,
  };
  const found = index(mailboxes);
  for (const promise of promises.values()) weigh(promise, found.get(keyOf(promise.user, promise.messageId)) ?? [], result);
  return result;
}

type Standing = FoundMessage & {folder: string; uidValidity: string};

function keyOf(user: string, messageId: string): string {
  return `${user}\n${messageId}`;
}

function index(mailboxes: readonly FoundMailbox[]): Map<string, Standing[]> {
  const found = new Map<string, Standing[]>();
  for (const {user, folders} of mailboxes) {
    for (const {folder, uidValidity, messages} of folders) {
      for (const message of messages) {
        addTo(found, keyOf(user, message.messageId), {...message, folder, uidValidity});
      }
    }
  }
  return found;
}

function collect(entries: readonly LedgerEntry[]): Map<string, Promised> {
  const promises = new Map<string, Promised>();
  const byPlace = new Map<string, Promised>();
  const get = (user: string, messageId: string): Promised => {
    const key = keyOf(user, messageId);
    let promise = promises.get(key);
    if (promise === undefined) {
      promise = {user, messageId, isSure: false, place: null, flags: null, open: new Map(), single: new Map()};
      promises.set(key, promise);
    }
    return promise;
  };
  const placeKey = (at: {user: string; folder: string; uidValidity: string; uid: number}): string =>
    `${at.user}\n${at.folder}\n${at.uidValidity}\n${at.uid}`;
  for (const entry of entries) {
    switch (entry.kind) {
      case 'accepted':
      case 'seen':
        get(entry.user, entry.messageId).isSure = true;
        break;
      case 'known':
      case 'appended': {
        const promise = get(entry.user, entry.messageId);
        promise.isSure = true;
        promise.place ??= {folder: entry.folder, uidValidity: entry.uidValidity, uid: entry.uid};
        if (entry.flags !== null) readFlags(promise, entry.flags, entry.atMs);
        byPlace.set(placeKey(entry), promise);
        break;
      }
      case 'flagged': {
        const promise = byPlace.get(placeKey(entry));
        if (promise !== undefined) setFlag(promise, entry.flag, entry.isSet, entry.atMs);
        break;
      }
      case 'unsureFlag':
        byPlace.get(placeKey(entry))?.open.set(entry.flag, entry.atMs);
        break;
      case 'unsureMail':
      case 'unsureAppend':
        get(entry.user, entry.messageId);
        break;
      default:
        break;
    }
  }
  return promises;
}

/**
 * A command that lost its client may still be carried out this much later (a slow disk under it): until then nothing that is
 * read or set makes its flag certain again.
 */
const LATE_EFFECT_MS = 90_000;

function readFlags(promise: Promised, flags: readonly string[], atMs: Instant): void {
  promise.flags = new Set(flags.filter(flag => flag !== NEVER_COMPARED));
  for (const [flag, openedAtMs] of promise.open) if (atMs - openedAtMs > LATE_EFFECT_MS) promise.open.delete(flag);
  promise.single.clear();
}

function setFlag(promise: Promised, flag: string, isSet: boolean, atMs: Instant): void {
  const openedAtMs = promise.open.get(flag);
  if (openedAtMs !== undefined && atMs - openedAtMs > LATE_EFFECT_MS) promise.open.delete(flag);
  if (promise.flags === null) promise.single.set(flag, isSet);
  else if (isSet) promise.flags.add(flag);
  else promise.flags.delete(flag);
}

function weigh(promise: Promised, standing: readonly Standing[], result: Judgement): void {
  const {user, messageId, place} = promise;
  const where = standing.map(each => `${each.folder}/${each.uidValidity}/${each.uid}`).join(', ');
  if (place !== null) result.known++;
  if (!promise.isSure && standing.length > 0) result.unsurePresent++;
  if (promise.isSure && standing.length === 0) {
    result.lost.push({user, messageId, detail: place === null ? 'accepted' : `was ${place.folder}/${place.uidValidity}/${place.uid}`});
    return;
  }
  if (standing.length > 1) result.duplicated.push({user, messageId, detail: where});
  if (place === null) return;
  const same = standing.find(each => each.folder === place.folder && each.uidValidity === place.uidValidity && each.uid === place.uid);
  if (same === undefined) {
    result.uidsChanged.push({user, messageId, detail: `was ${place.folder}/${place.uidValidity}/${place.uid}, is ${where}`});
    return;
  }
  const wrong = differences(promise, same.flags);
  if (wrong.length > 0) result.wrongFlags.push({user, messageId, detail: `${place.folder}/${place.uid}: ${wrong.join(' ')}`});
}

function differences(promise: Promised, actual: readonly string[]): string[] {
  const has = new Set(actual.filter(flag => flag !== NEVER_COMPARED));
  const wrong: string[] = [];
  const check = (flag: string, isSet: boolean): void => {
    if (!promise.open.has(flag) && has.has(flag) !== isSet) wrong.push(`${isSet ? 'lacks' : 'has'} ${flag}`);
  };
  if (promise.flags === null) for (const [flag, isSet] of promise.single) check(flag, isSet);
  else for (const flag of new Set([...promise.flags, ...has])) check(flag, promise.flags.has(flag));
  return wrong;
}
