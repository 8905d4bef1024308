/**
 * Reads doveadm's `-f tab` output: a header line of column names, then rows; values have tab, newline and backslash escaped
 * (Dovecot's str_tabescape: \001 followed by 0 = NUL, 1 = \001, t, r, n).
 * @returns one record a row; a row with too few columns has the missing ones as ''.
 */
export function parseTab(text: string): Record<string, string>[] {
  return [...tabRows(text)];
}

/** The same, one row after the other: an answer may have a row for each message of a mailbox. */
export function* tabRows(text: string): Generator<Record<string, string>> {
  let header: string[] | null = null;
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('\n', at);
    const end = found === -1 ? text.length : found;
    const values = text.slice(at, end).split('\t');
    at = end + 1;
    if (values.length === 1 && values[0] === '') continue;
    if (header === null) header = values;
    else yield rowOf(header, values.map(unescapeTab));
  }
}

/** Rows of doveadm's own server: each value has a tab behind it, and rows have nothing between them. */
export function* valueRows(answer: string, columns: readonly string[]): Generator<Record<string, string>> {
  const values: string[] = [];
  for (let at = 0, end = answer.indexOf('\t'); end !== -1; at = end + 1, end = answer.indexOf('\t', at)) {
    values.push(unescapeTab(answer.slice(at, end)));
    if (values.length < columns.length) continue;
    yield rowOf(columns, values);
    values.length = 0;
  }
}

function rowOf(columns: readonly string[], values: readonly string[]): Record<string, string> {
  const row: Record<string, string> = {};
  for (const [index, name] of columns.entries()) row[name] = values[index] ?? '';
  return row;
}

const ESCAPE = '\u0001';
const ESCAPED: Record<string, string> = {'0': '\0', '1': ESCAPE, t: '\t', r: '\r', n: '\n'};
const LETTERS: ReadonlyMap<string, string> = new Map(Object.entries(ESCAPED).map(([letter, char]) => [char, letter]));

/** One value of it. */
export function unescapeTab(value: string): string {
  // Hardly any of ten thousands has one.
  if (!value.includes(ESCAPE)) return value;
  const [plain = '', ...escaped] = value.split(ESCAPE);
  return plain + escaped.map(part => (ESCAPED[part.charAt(0)] ?? ESCAPE + part.charAt(0)) + part.slice(1)).join('');
}

/** A value as it may stand between tabs. */
export function escapeTab(value: string): string {
  return Array.from(value, char => (LETTERS.has(char) ? ESCAPE + LETTERS.get(char) : char)).join('');
}
