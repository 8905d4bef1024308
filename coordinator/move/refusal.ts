import {type Refusal, toRefusal} from '../../base/errors.ts';
import {type Bytes, MIB} from '../../base/units.ts';

/** A message of NATS has at most 1 MB, and the record of a move has more in it than why it failed. */
const DETAIL_BYTES_MAX: Bytes = MIB / 16;

/**
 * An error as it is stored with a move. A record that NATS does not take would be stored for ever in vain, with the mailbox locked; so of what is
 * too large only the code is kept, and as much of its text as fits.
 */
export function storedRefusal(error: unknown): Refusal {
  const refusal = toRefusal(error);
  const text = JSON.stringify(refusal.detail);
  if (Buffer.byteLength(text) <= DETAIL_BYTES_MAX) return refusal;
  return {code: refusal.code, detail: {cut: text.slice(0, DETAIL_BYTES_MAX / 4), bytes: Buffer.byteLength(text)}};
}
