import {domainOf} from '../../wire/schema.ts';
import type {QueuedMail} from './host-ports.ts';

/** Postfix parameters that must name one of the relief maps: main.cf is the operator's, so it is prepared once and never written here. */
export const RELIEF_MAPS: Readonly<Record<string, string>> = {
  transport_maps: 'relief-transport.cf',
  sender_dependent_relayhost_maps: 'relief-relay.cf',
  default_delivery_status_filter: 'relief-status.cf',
};

/** @param settings lines of postconf(1), `name = value`. @returns parameters that do not name their map. */
export function unprepared(settings: string): string[] {
  const lines = settings.split('\n');
  return Object.entries(RELIEF_MAPS).flatMap(([name, map]) => {
    const line = lines.find(each => each.startsWith(`${name} =`));
    return line?.includes(map) === true ? [] : [name];
  });
}

/** Where the recipients of a queue are: `here` waits for the own mailboxes, the others can leave. */
export interface Sorted extends QueuedMail {
  /** A few recipients outside the farm, each once. */
  sample: string[];
}

const SAMPLE_MAX = 3;
/** Others need quoting in a dialogue. */
const PLAIN = /^[\w.+=-]+@[\w.-]+$/;

/**
 * What of a queue can leave.
 * @param messages recipients of each.
 * @param hostOf where a user lives; null for nobody of this farm.
 * @param isOurs whether a domain has users in this farm: an unknown name in it is nobody outside.
 */
export function sortQueue(
  messages: readonly (readonly string[])[],
  self: string,
  hostOf: (user: string) => string | null,
  isOurs: (domain: string) => boolean,
): Sorted {
  const sample = new Set<string>();
  let [elsewhere, outgoing] = [0, 0];
  for (const recipients of messages) {
    const kinds = new Set<'here' | 'elsewhere' | 'outgoing'>();
    for (const address of recipients) {
      const user = address.toLowerCase();
      const host = hostOf(user);
      const isOut = host === null && !isOurs(domainOf(user));
      kinds.add(isOut ? 'outgoing' : host === self || host === null ? 'here' : 'elsewhere');
      if (isOut && sample.size < SAMPLE_MAX && PLAIN.test(address)) sample.add(address);
    }
    if (kinds.has('elsewhere')) elsewhere++;
    if (kinds.has('outgoing')) outgoing++;
  }
  return {queued: messages.length, elsewhere, outgoing, sample: [...sample]};
}

/** `[10.0.0.5]:25` as address and port; null when it is no such next hop. */
export function parseNextHop(relay: string): {address: string; port: number} | null {
  const [, address, port] = /^\[([0-9a-zA-Z.:-]+)\]:(\d{1,5})$/.exec(relay) ?? [];
  return address === undefined || port === undefined ? null : {address, port: Number(port)};
}
