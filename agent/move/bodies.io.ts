import {createHash} from 'node:crypto';
import {setNewest} from '../../base/bounded.ts';
import {MailherdError} from '../../base/errors.ts';
import {TEXT_SUM_BYTES, type TextSums} from '../../native/mailbox.ts';

/** Of so many users' messages the digests are remembered at once; of others they are read again. */
const USERS_MAX = 64;

/** SHA-256 of the texts of one folder by UID: 40 bytes a message. */
class FolderBodies {
  readonly #places = new Map<number, number>();
  /** Up to this UID all that there were are known. */
  through = 0;
  #digests = Buffer.alloc(TEXT_SUM_BYTES * 64);

  put(uid: number, sums: TextSums, at: number): void {
    const place = this.#places.get(uid) ?? this.#places.size;
    const to = TEXT_SUM_BYTES * place;
    if (to >= this.#digests.length) this.#digests = Buffer.concat([this.#digests, Buffer.alloc(this.#digests.length)]);
    sums.copy(this.#digests, to, at, at + TEXT_SUM_BYTES);
    this.#places.set(uid, place);
  }

  get(uid: number): Buffer | null {
    const place = this.#places.get(uid);
    return place === undefined ? null : this.#digests.subarray(TEXT_SUM_BYTES * place, TEXT_SUM_BYTES * (place + 1));
  }
}

/** What is known of the texts of one mailbox's messages. A text never changes under its UID (RFC 3501 2.3.1.1). */
export class BodyDigests {
  readonly #folders = new Map<string, FolderBodies>();
  /** Reading broke off or was complained of: which are known must be looked at one by one. */
  isBroken = false;

  get isEmpty(): boolean {
    return this.#folders.size === 0;
  }

  /** @param at where among the digests that of the text begins. */
  put(folderGuid: string, uid: number, sums: TextSums, at = 0): void {
    this.#folder(folderGuid).put(uid, sums, at);
  }

  /** All texts of the folder up to that UID were read. */
  readThrough(folderGuid: string, uid: number): void {
    const folder = this.#folder(folderGuid);
    folder.through = Math.max(folder.through, uid);
  }

  get(folderGuid: string, uid: number): Buffer | null {
    return this.#folders.get(folderGuid)?.get(uid) ?? null;
  }

  /** What has doveadm fetch the texts of these messages that are not known; null when all are. @param uids ascending, by folder GUID. */
  query(uids: ReadonlyMap<string, readonly number[]>): string[] | null {
    return queryFor(
      [...uids].map(([guid, all]) => {
        const unknown = all.filter(uid => this.get(guid, uid) === null);
        return [guid, unknown[0] ?? 1, unknown.at(-1) ?? 0];
      }),
    );
  }

  /** The same for whatever was not read yet below these UIDs. @param nextUids by folder GUID. */
  queryBelow(nextUids: ReadonlyMap<string, number>): string[] | null {
    return queryFor([...nextUids].map(([guid, next]) => [guid, this.#folder(guid).through + 1, next - 1]));
  }

  /**
   * SHA-256 over UID and text of each of these messages.
   * @throws MailherdError COMMAND_FAILED when the text of one is not known: Dovecot did not give it.
   */
  digest(folderGuid: string, uids: readonly number[]): string {
    const hash = createHash('sha256');
    for (const uid of uids) {
      const digest = this.get(folderGuid, uid);
      if (digest === null) throw new MailherdError('COMMAND_FAILED', {command: 'doveadm fetch', folderGuid, uid, reason: 'no text came'});
      hash.update(`${uid} `).update(digest);
    }
    return hash.digest('hex');
  }

  #folder(guid: string): FolderBodies {
    const known = this.#folders.get(guid);
    if (known !== undefined) return known;
    const folder = new FolderBodies();
    this.#folders.set(guid, folder);
    return folder;
  }
}

/** @param ranges of UIDs, from and to, by folder GUID; empty where `to` is before `from`. @returns null when all are. */
function queryFor(ranges: readonly (readonly [guid: string, from: number, to: number])[]): string[] | null {
  const parts = ranges
    .filter(([, from, to]) => from <= to)
    .map(([guid, from, to]) => ['(', 'mailbox-guid', guid, 'uid', `${from}:${to}`, ')']);
  return parts.length === 0 ? null : parts.flatMap((part, index) => (index === 0 ? part : ['OR', ...part]));
}

/** What this host knows of the texts of mailboxes that are moved. */
export class KnownTexts {
  readonly #users = new Map<string, BodyDigests>();

  of(user: string): BodyDigests {
    const digests = this.#users.get(user) ?? new BodyDigests();
    setNewest(this.#users, user, digests, USERS_MAX);
    return digests;
  }

  forget(user: string): void {
    this.#users.delete(user);
  }

  get isEmpty(): boolean {
    return this.#users.size === 0;
  }
}
