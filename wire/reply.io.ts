import {headers, type Msg} from '@nats-io/transport-node';
import {MIB} from '../base/units.ts';
import {decode, encode} from './codec.ts';
import {Reply} from './command.ts';

/** A quarter of what NATS takes at once unless configured otherwise. */
const PART_BYTES = MIB / 4;
/** A part that another one follows says so. */
const MORE = 'Mailherd-More';

/** Answers a command; what is too large for one message of NATS (a manifest of thousands of folders or lines) goes as several. */
export function sendReply(message: Msg, reply: Reply): void {
  const text = encode(Reply, reply);
  for (let from = 0; ; from += PART_BYTES) {
    const part = text.subarray(from, from + PART_BYTES);
    if (from + PART_BYTES >= text.length) {
      message.respond(part);
      return;
    }
    const more = headers();
    more.set(MORE, 'yes');
    message.respond(part, {headers: more});
  }
}

/** Puts the replies to one command together. */
export class ReplyReader {
  readonly #what: string;
  readonly #parts: Uint8Array[] = [];

  /** @param what names them in an error. */
  constructor(what: string) {
    this.#what = what;
  }

  /** @returns null while more is to come. @throws MailherdError INPUT_INVALID. */
  take(message: Msg): Reply | null {
    this.#parts.push(message.data);
    if (message.headers?.has(MORE)) return null;
    return decode(Reply, Buffer.concat(this.#parts.splice(0)), this.#what);
  }
}
