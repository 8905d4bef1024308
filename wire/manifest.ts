import Type from 'typebox';
import {ByteCount, Count, orNull} from './schema.ts';

/**
 * What one folder holds. `digest` is SHA-256 over one line a message, sorted by UID: uid, guid, size, date, flags, keywords; `texts` is
 * SHA-256 over UID and SHA-256 of the whole text of each, null where that was not asked for.
 */
export const FolderManifest = Type.Object({
  name: Type.String(),
  guid: Type.String(),
  uidValidity: Count,
  uidNext: Count,
  highestModseq: Count,
  messages: Count,
  bytes: ByteCount,
  digest: Type.String(),
  texts: orNull(Type.String()),
  /** Access control list: `<identifier> <right> ...`, sorted; [] where there is none or the host's doveadm knows of none. */
  acl: Type.Array(Type.String()),
});
export type FolderManifest = Type.Static<typeof FolderManifest>;

/** What Dovecot tells of a folder in a moment, and what no change of a message leaves as it was. */
export const FolderState = Type.Object({name: Type.String(), messages: Count, uidNext: Count, highestModseq: Count});
export type FolderState = Type.Static<typeof FolderState>;

/** Everything of a mailbox that must survive a move, read by another path than the one that copied it. */
export const Manifest = Type.Object({
  folders: Type.Array(FolderManifest),
  subscriptions: Type.Array(Type.String()),
  sieve: Type.Array(Type.Object({name: Type.String(), digest: Type.String(), active: Type.Boolean()})),
  /** Message lines of the one folder that was asked for in detail, with the text's digest if that was asked for; else null. */
  lines: orNull(Type.Array(Type.String())),
});
export type Manifest = Type.Static<typeof Manifest>;
