import Table from 'cli-table3';

/** Rows as a plain table without colours, one line a row. @param head null = none. */
export function tableText(head: readonly string[] | null, rows: readonly (readonly (string | number)[])[]): string {
  const table = new Table({
    ...(head === null ? {} : {head: [...head]}),
    style: {head: [], border: [], compact: true},
  });
  for (const row of rows) table.push([...row]);
  return `${table.toString()}\n`;
}
