import {type FileHandle, mkdir, open} from 'node:fs/promises';
import {dirname} from 'node:path';
import type {Instant} from '../base/units.ts';

/** One line of the audit log: who did what to what, why, and what came of it. */
export interface AuditLine {
  atMs: Instant;
  /** `mailherd`, or the name of an API token. */
  by: string;
  action: string;
  /** Host, user, move or plan it is about; null for the whole farm. */
  subject: string | null;
  /** Evidence, arguments, reasons. */
  detail: Record<string, unknown>;
  result: 'asked' | 'decided' | 'ok' | 'refused' | 'failed';
}

export interface Audit {
  /** Resolves when the line is on disk. */
  write(line: AuditLine): Promise<void>;
}

/** Append-only JSON lines, mode 0600, each flushed to disk before the caller goes on; writers take turns. */
export class AuditFile implements Audit {
  readonly #file: FileHandle;
  #turn: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Opens or creates `path` and its directory. */
  static async open(path: string): Promise<AuditFile> {
    await mkdir(dirname(path), {recursive: true, mode: 0o700});
    return new AuditFile(await open(path, 'a', 0o600));
  }

  write(line: AuditLine): Promise<void> {
    const write = async (): Promise<void> => {
      await this.#file.appendFile(`${JSON.stringify(line)}\n`);
      await this.#file.datasync();
    };
    const mine = this.#turn.then(write);
    // One line that fails is the caller's failure, not that of the next line.
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#file.close();
  }
}
