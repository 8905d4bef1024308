import type {Manifest} from '../../wire/manifest.ts';

export interface Message {
  uid: number;
  guid: string;
  flagged: boolean;
  /** False when the disk or the copy took a part of its text. */
  isWhole: boolean;
}

/** One simulated mailbox with one folder; a copy on another host is another object. */
export class Mailbox {
  readonly uidValidity: number;
  uidNext = 1;
  changes = 0;
  /** Only a part of a seed: dsync would have to begin anew where it must not. */
  isTorn = false;
  readonly messages = new Map<number, Message>();
  /** GUIDs of what was deleted here, as the log of its index has it. */
  readonly expunged = new Set<string>();
  /** What merges gave other UIDs, the first first: UIDs of before and after. Whoever reads this mailbox, or a copy of it, sees so. */
  readonly renumberings: ReadonlyMap<number, number>[] = [];

  constructor(uidValidity: number) {
    this.uidValidity = uidValidity;
  }

  static of(guid: string): Mailbox {
    const mailbox = new Mailbox(0);
    mailbox.append(guid);
    return mailbox;
  }

  append(guid: string): number {
    const uid = this.uidNext++;
    this.messages.set(uid, {uid, guid, flagged: false, isWhole: true});
    this.changes++;
    return uid;
  }

  flag(uid: number, flagged: boolean): boolean {
    const message = this.messages.get(uid);
    if (message === undefined) return false;
    message.flagged = flagged;
    this.changes++;
    return true;
  }

  expunge(uid: number): void {
    const message = this.messages.get(uid);
    if (message === undefined) return;
    this.messages.delete(uid);
    this.expunged.add(message.guid);
    this.changes++;
  }

  /** Its first messages only, as a seed looks on its way. */
  part(share: number): Mailbox {
    const copy = this.clone();
    copy.isTorn = share < 1;
    for (const uid of [...copy.messages.keys()].slice(Math.ceil(copy.messages.size * share))) copy.messages.delete(uid);
    return copy;
  }

  /** What a pass makes of the copy: as this one is, but a text that was damaged there before is not written again. */
  overwriting(present: Mailbox | undefined): Mailbox {
    const copy = this.clone();
    for (const [uid, {guid, isWhole}] of present?.messages ?? []) {
      const message = copy.messages.get(uid);
      if (message?.guid === guid && !isWhole) message.isWhole = false;
    }
    return copy;
  }

  clone(): Mailbox {
    const copy = new Mailbox(this.uidValidity);
    copy.uidNext = this.uidNext;
    copy.changes = this.changes;
    for (const [uid, message] of this.messages) copy.messages.set(uid, {...message});
    for (const guid of this.expunged) copy.expunged.add(guid);
    copy.renumberings.push(...this.renumberings);
    return copy;
  }

  /**
   * What one-way dsync does after the flip: adds what is missing by GUID and was not deleted here. Where one UID is of two messages both get
   * new ones; a message that has a higher UID there than here gets it here too.
   */
  mergeFrom(source: Mailbox): void {
    const renumbered = new Map<number, number>();
    const uids = new Map([...this.messages.values()].map(({uid, guid}) => [guid, uid]));
    const missing: Message[] = [];
    for (const {uid, guid, flagged, isWhole} of source.messages.values()) {
      const here = uids.get(guid);
      if (here === undefined && !this.expunged.has(guid)) missing.push({uid, guid, flagged, isWhole});
      if (here !== undefined && uid >= this.uidNext) renumbered.set(here, this.#moveTo(here, uid));
    }
    for (const {uid} of missing) if (this.messages.has(uid)) renumbered.set(uid, this.#moveTo(uid, this.uidNext));
    for (const {guid, flagged} of missing) {
      const uid = this.append(guid);
      if (flagged) this.flag(uid, true);
    }
    if (renumbered.size > 0) this.renumberings.push(renumbered);
  }

  /** @param next not lower than any. */
  #moveTo(uid: number, next: number): number {
    const message = this.messages.get(uid);
    if (message === undefined) return uid;
    this.messages.delete(uid);
    this.messages.set(next, {...message, uid: next});
    this.uidNext = next + 1;
    this.changes++;
    return next;
  }

  manifest(): Manifest {
    const lines = [...this.messages.values()].sort((a, b) => a.uid - b.uid).map(({uid, guid, flagged}) => `${uid} ${guid} ${flagged}`);
    return {
      folders: [
        {
          name: 'INBOX',
          guid: `inbox-${this.uidValidity}`,
          uidValidity: this.uidValidity,
          uidNext: this.uidNext,
          highestModseq: this.changes,
          messages: lines.length,
          bytes: lines.length * 1_000,
          digest: lines.join('\n'),
          texts: [...this.messages.values()].map(({uid, isWhole}) => `${uid} ${isWhole}`).join('\n'),
          acl: [],
        },
      ],
      subscriptions: ['INBOX'],
      sieve: [],
      lines: null,
    };
  }
}
