/**
 * Reads doveadm's `-f tab` output: a header line of column names, then rows; values have tab, newline and backslash escaped
 * (Dovecot's str_tabescape: \001 followed by 0 = NUL, 1 = \001, t, r, n).
 * @returns one record a row; a row with too few columns has the missing ones as ''.
 */
export function parseTab(text: string): Record<string, string>[] {
  const lines = text.split('\n').filter(line => line !== '');
  const header = lines.shift()?.split('\t') ?? [];
  return lines.map(line => {
    const values = line.split('\t').map(unescapeTab);
    return Object.fromEntries(header.map((name, index) => [name, values[index] ?? '']));
  });
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
