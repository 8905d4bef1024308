import {EVENT_STREAM, HOST_BUCKET, ROUTE_BUCKET} from './subjects.ts';

/**
 * NATS accounts. The coordinator's streams live in FARM; hosts and observers are in accounts of their own and read mirrors there.
 *
 * One account with permissions a user would not do: a server checks where a user publishes, but not the reply subject it names, and
 * JetStream answers there. A host that may report could have the answer stored as somebody's route, or purge a stream by it. Across
 * accounts a reply comes back to the asker's account and nowhere else.
 */
export const FARM_ACCOUNT = 'FARM';
export type ReaderAccount = 'HOSTS' | 'OBSERVERS';

/** Streams that are read outside FARM, and where. */
export const MIRRORS: readonly {stream: string; account: ReaderAccount}[] = [
  {stream: `KV_${HOST_BUCKET}`, account: 'HOSTS'},
  {stream: `KV_${ROUTE_BUCKET}`, account: 'HOSTS'},
  {stream: EVENT_STREAM, account: 'OBSERVERS'},
];

/** Where the coordinator reaches the JetStream API of a reader account. */
export const readerApi = (account: ReaderAccount): string => `$JS.${account}.API`;

/**
 * Where a reader account's mirrors reach the JetStream API of FARM. `secret` keeps users of that account from naming it as a reply
 * subject: no answer that one of them brings about may ask FARM for something.
 */
export const farmApi = (secret: string): string => `$JS.FARM_${secret}.API`;

/** FARM's consumers deliver to mirrors below this. */
export const mirrorDelivery = (account: ReaderAccount): string => `mailherd.mirror.${account.toLowerCase()}`;

/**
 * Where a host asks the farm's own stream for the newest entry of a route: its mirror may be behind, and after a crash of the server have stopped.
 * The answer is what any reader of the mirror gets sooner or later, and comes back to the asker's account only.
 */
export const NEWEST_ROUTE = 'mailherd.newest.route';
/** What that is in FARM. */
export const NEWEST_ROUTE_API = `$JS.API.STREAM.MSG.GET.KV_${ROUTE_BUCKET}`;
