import type {Instant, Millis} from '../../base/units.ts';

/** What happened when; times from the start of the story. */
export interface Entry {
  atMs: Millis;
  what: string;
  detail: string;
}

/** The table at the end of the story, and the lines while it runs. */
export class Chronicle {
  readonly entries: Entry[] = [];
  readonly #startMs: Instant;
  readonly #say: (line: string) => void;

  constructor(startMs: Instant, say: (line: string) => void) {
    this.#startMs = startMs;
    this.#say = say;
  }

  note(nowMs: Instant, what: string, detail: string): Entry {
    const entry = {atMs: nowMs - this.#startMs, what, detail};
    this.entries.push(entry);
    this.#say(`${clockText(entry.atMs)}  ${what.padEnd(22)} ${detail}`);
    return entry;
  }

  /** Milliseconds from one thing that happened to another, null when either did not. */
  between(from: string, to: string): Millis | null {
    const begin = this.entries.find(({what}) => what === from);
    const end = this.entries.find(({what}) => what === to);
    return begin === undefined || end === undefined ? null : end.atMs - begin.atMs;
  }
}

/** m:ss of a span. */
export function clockText(ms: Millis): string {
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
