/** NATS subjects, streams and KV buckets, with the windows that readers and writers rely on. */

export const REPORT_STREAM = 'mailherd_reports';
export const EVENT_STREAM = 'mailherd_events';
/** Reports older than this are gone: enough to rebuild every judging window after a restart. */
export const REPORT_AGE_MAX_MS = 3_600_000;
export const EVENT_AGE_MAX_MS = 90 * 86_400_000;
/** JetStream drops a second message with the same id inside this window; a spooled report may be published twice. */
export const DEDUPE_WINDOW_MS = 3_600_000;

export const HOST_BUCKET = 'mailherd_hosts';
export const ROUTE_BUCKET = 'mailherd_routes';
export const MOVE_BUCKET = 'mailherd_moves';
export const PLAN_BUCKET = 'mailherd_plans';
export const POLICY_BUCKET = 'mailherd_policy';
export const LEASE_BUCKET = 'mailherd_lease';
export const INCIDENT_BUCKET = 'mailherd_incidents';

export const reportSubject = (host: string): string => `mailherd.report.${host}`;
export const REPORT_SUBJECTS = 'mailherd.report.*';
/** Events of the whole farm carry the host token `farm`. */
export const eventSubject = (host: string, type: string): string => `mailherd.event.${host}.${type}`;
export const EVENT_SUBJECTS = 'mailherd.event.>';
export const commandSubject = (host: string, verb: string): string => `mailherd.command.${host}.${verb}`;
export const commandSubjects = (host: string): string => `mailherd.command.${host}.>`;
/** Replies come back on a prefix of one's own, so that no host can read another's. */
export const inboxPrefix = (host: string): string => `_INBOX_${host}`;

/** A user name as a KV key: base64url, since names may hold any byte and keys may not. */
export function userKey(user: string): string {
  return Buffer.from(user, 'utf8').toString('base64url');
}

export function userOfKey(key: string): string {
  return Buffer.from(key, 'base64url').toString('utf8');
}
