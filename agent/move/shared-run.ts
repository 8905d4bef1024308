/**
 * Work that serves everybody who asked before it began: one run at a time, and who comes meanwhile shares the next. However many ask, nobody waits
 * for more than two.
 */
export class SharedRun {
  readonly #work: () => Promise<void>;
  #present: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when a run is over that began after this call. @throws what the work throws. */
  run(): Promise<void> {
    if (this.#next !== null) return this.#next;
    if (this.#present === null) return this.#begin();
    const begin = (): Promise<void> => this.#begin();
    this.#next = this.#present.then(begin, begin);
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = null;
    this.#present = this.#work().finally(() => {
      this.#present = null;
    });
    return this.#present;
  }
}
