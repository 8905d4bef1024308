import {readFileSync} from 'node:fs';
import {gunzipSync} from 'node:zlib';

/** Rows of a gzipped CSV file with a header, by column name. No quoting: none of the data sets has any. */
export function readTable(file: string): Record<string, string>[] {
  const [header = '', ...lines] = gunzipSync(readFileSync(file)).toString('utf8').split('\n');
  const names = header.trim().split(',');
  return lines
    .filter(line => line.trim() !== '')
    .map(line => {
      const values = line.trim().split(',');
      return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
    });
}
