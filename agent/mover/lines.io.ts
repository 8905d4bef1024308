import type {Socket} from 'node:net';
import {MailherdError} from '../../base/errors.ts';
import type {Bytes} from '../../base/units.ts';

const LINE_END = 0x0a;

/** Hands each line of a connection to `take`, however they were cut. @param bytesMax of a line: with a longer one the connection is given up. */
export function onLine(socket: Socket, bytesMax: Bytes, take: (line: string) => void): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  socket.on('data', chunk => {
    let from = 0;
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)]).toString('utf8');
      [parts, bytes, from] = [[], 0, end + 1];
      take(line);
    }
    parts.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > bytesMax) socket.destroy(new MailherdError('INPUT_INVALID', {what: 'line', path: '/', reason: 'too long', bytesMax}));
  });
}

export function sayLine(socket: Socket, value: object): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`);
}
