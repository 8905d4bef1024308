/**
 * Splits a server-sent event stream into its events (HTML Living Standard, 9.2.6: fields `id`, `data`; comments and other fields are
 * passed over). Feed it text as it comes; it keeps what is not complete.
 */
export class EventLines {
  #rest = '';
  #id = '';
  #data: string[] = [];

  /** @returns the events that are complete now. */
  feed(text: string): {id: string; data: string}[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    const events: {id: string; data: string}[] = [];
    for (const line of lines) {
      if (line !== '') {
        this.#field(line);
        continue;
      }
      if (this.#data.length > 0) events.push({id: this.#id, data: this.#data.join('\n')});
      this.#data = [];
    }
    return events;
  }

  #field(line: string): void {
    const [, name, value] = /^([^:]*): ?(.*)$/.exec(line) ?? [undefined, line, ''];
    if (name === 'id' && value !== undefined) this.#id = value;
    if (name === 'data' && value !== undefined) this.#data.push(value);
  }
}
