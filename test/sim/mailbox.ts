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
    return copy;
  }

  /** What one-way dsync does after the flip: adds what is missing by GUID; a UID that is taken gets a new one. */
  mergeFrom(source: Mailbox, known: ReadonlySet<string>): void {
    const here = new Set([...this.messages.values()].map(({guid}) => guid));
    for (const {guid, flagged} of source.messages.values()) {
      if (here.has(guid) || known.has(guid)) continue;
      const uid = this.append(guid);
      if (flagged) this.flag(uid, true);
    }
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
