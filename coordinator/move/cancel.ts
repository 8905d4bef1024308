import {MailherdError} from '../../base/errors.ts';

interface Wish {
  /** Aborted once somebody asks. */
  asked: AbortController;
  stored: Promise<void>;
  isStored: () => void;
  isVain: (why: MailherdError) => void;
}

/** Moves that somebody ends before their flip. Whoever asks hears of it once it stands in the move's record: then no leader's death undoes it. */
export class Cancels {
  readonly #wishes = new Map<string, Wish>();

  /** The move is driven here from now on, until `end`. */
  begin(moveId: string): void {
    let [isStored, isVain]: [Wish['isStored'], Wish['isVain']] = [ignoreLoser, ignoreLoser];
    const stored = new Promise<void>((resolve, reject) => {
      [isStored, isVain] = [resolve, reject];
    });
    stored.catch(ignoreLoser);
    this.#wishes.set(moveId, {asked: new AbortController(), stored, isStored, isVain});
  }

  /** @returns when it is stored that the move backs out. @throws MailherdError NOT_LEADER, MOVE_STATE when that never came. */
  async ask(moveId: string): Promise<void> {
    const wish = this.#wishes.get(moveId);
    if (wish === undefined) throw new MailherdError('NOT_LEADER', {moveId, reason: 'it is not driven here'});
    wish.asked.abort();
    await wish.stored;
  }

  isAsked(moveId: string): boolean {
    return this.#wishes.get(moveId)?.asked.signal.aborted === true;
  }

  /** Waits for `work` until it is asked to end; what it does then nobody waits for. @throws MailherdError CANCELLED then. */
  async unlessAsked<T>(moveId: string, work: Promise<T>): Promise<T> {
    const signal = this.#wishes.get(moveId)?.asked.signal;
    work.catch(ignoreLoser);
    let end = ignoreLoser;
    const asked = new Promise<never>((_resolve, reject) => {
      end = () => reject(new MailherdError('CANCELLED', {moveId}));
      signal?.addEventListener('abort', end);
    });
    try {
      return await Promise.race([work, asked]);
    } finally {
      signal?.removeEventListener('abort', end);
    }
  }

  /** The move backs out, and that is stored. */
  stored(moveId: string): void {
    this.#wishes.get(moveId)?.isStored();
    this.#wishes.delete(moveId);
  }

  /** The move is through, or nobody drives it here any more: whoever still asks asked in vain. */
  end(moveId: string, why: MailherdError): void {
    this.#wishes.get(moveId)?.isVain(why);
    this.#wishes.delete(moveId);
  }
}

/** Of two that are waited for the one that loses may fail later; of a wish that nobody made nobody hears. */
const ignoreLoser = (): void => undefined;
