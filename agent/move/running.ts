/** Work that takes long and can be ended from outside its turn. In memory: no command outlives its agent. */
export class Running {
  readonly #ends = new Map<string, AbortController>();

  /** Runs it for that move; of one move nothing else runs meanwhile. */
  async run<T>(moveId: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const end = new AbortController();
    this.#ends.set(moveId, end);
    try {
      return await work(end.signal);
    } finally {
      this.#ends.delete(moveId);
    }
  }

  /** Tells what runs for that move to end; it is over when it has thrown. @returns false when nothing runs. */
  end(moveId: string): boolean {
    const end = this.#ends.get(moveId);
    end?.abort();
    return end !== undefined;
  }
}
