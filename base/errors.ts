/**
 * Every refusal and failure that crosses a function, a process or the API.
 * `http` is the API's status; `next` says what the receiver should do: fix the input, retry later, re-plan, page a human.
 */
export const CODES = {
  CONFIG_INVALID: {http: 500, next: 'fix', text: 'the configuration is not valid'},
  INPUT_INVALID: {http: 400, next: 'fix', text: 'the request does not fit its schema'},
  UNAUTHORIZED: {http: 401, next: 'fix', text: 'no valid bearer token'},
  FORBIDDEN: {http: 403, next: 'fix', text: 'this token has not the role for that'},
  HOST_UNKNOWN: {http: 404, next: 'fix', text: 'no such host'},
  USER_UNKNOWN: {http: 404, next: 'fix', text: 'no such user'},
  USER_UNSERVED: {
    http: 409,
    next: 'fix',
    text: 'Dovecot of this host knows no such user; has the name characters that auth_username_chars leaves out?',
  },
  HOME_SHARED: {http: 409, next: 'fix', text: 'homes of other users lie in the home of this one; give him a home of his own'},
  MOVE_UNKNOWN: {http: 404, next: 'fix', text: 'no such move'},
  PLAN_UNKNOWN: {http: 404, next: 'fix', text: 'no such plan'},
  INCIDENT_UNKNOWN: {http: 404, next: 'fix', text: 'no such incident'},
  PATH_UNKNOWN: {http: 404, next: 'fix', text: 'the API has no such path'},
  COHORT_UNKNOWN: {http: 404, next: 'fix', text: 'no such cohort'},
  DECISION_UNKNOWN: {http: 404, next: 'fix', text: 'that is not proposed now, or needs no approval'},
  DECISION_VETOED: {http: 409, next: 'fix', text: 'something stops what was decided'},
  HOST_EXISTS: {http: 409, next: 'fix', text: 'a host of that name exists already'},
  USER_EXISTS: {http: 409, next: 'fix', text: 'a user of that name exists already'},
  MOVE_IN_PROGRESS: {http: 409, next: 'retry', text: 'this mailbox is already moving'},
  MOVE_STATE: {http: 409, next: 'fix', text: 'the move is not in a state that allows that'},
  HOST_STATE: {http: 409, next: 'fix', text: 'the host is not in a stage that allows that'},
  DOES_NOT_FIT: {http: 409, next: 'replan', text: 'the other hosts cannot take these mailboxes'},
  PLAN_STALE: {http: 409, next: 'replan', text: 'the farm is no longer as the plan found it'},
  PLAN_REFUSED: {http: 409, next: 'replan', text: 'the plan breaks a rule'},
  PAUSED: {http: 409, next: 'retry', text: 'automatic work is paused'},
  NOT_LEADER: {http: 503, next: 'retry', text: 'another coordinator leads'},
  TOKEN_STALE: {http: 409, next: 'stop', text: 'a newer leader has spoken to this host'},
  ROUTE_STALE: {http: 409, next: 'retry', text: 'the route changed meanwhile'},
  ROUTE_LAGS: {http: 503, next: 'retry', text: 'this host has not seen that route generation yet'},
  NOT_OWNER: {http: 409, next: 'replan', text: 'the route does not name this host for that user'},
  STILL_OWNER: {http: 409, next: 'replan', text: 'the route still names this host for that user'},
  COPY_UNKNOWN: {http: 409, next: 'page', text: 'a mailbox copy lies here that no named move made'},
  COPY_RETAINED: {
    http: 409,
    next: 'fix',
    text: 'an earlier move has left a copy of a mailbox of that name on that host, which would become the mailbox or bring its late mail to it; purge it first (mailherd purge MOVE)',
  },
  MAIL_ELSEWHERE: {
    http: 409,
    next: 'fix',
    text: 'a part of the mailbox lies outside of its home, where it is neither moved nor removed with it; see to it by hand, or have Dovecot keep it in the home',
  },
  LAST_COPY: {
    http: 409,
    next: 'page',
    text: 'where the mailbox lives now nothing shows that it is there, so this copy may be the last one; bring that host back, or the mailbox',
  },
  COPY_MISSING: {http: 409, next: 'replan', text: 'the copy this step works on is not here'},
  SPACE_LACKING: {http: 409, next: 'replan', text: 'the mailbox does not fit on the target'},
  FEATURE_LACKING: {
    http: 409,
    next: 'replan',
    text: 'Dovecot of this host would lose something of the mailbox: doveadm needs a plugin it has not',
  },
  EDGE_BUDGET: {http: 409, next: 'retry', text: 'as many users are held as can wait at an edge; this mailbox is held in its turn'},
  KICKS_SPREAD: {http: 409, next: 'retry', text: 'enough sessions are ended at present; this mailbox is held in its turn'},
  HOLD_LOST: {http: 409, next: 'retry', text: 'the hold ran out before the step was done'},
  CLOCK_AHEAD: {
    http: 409,
    next: 'fix',
    text: 'the clock of this host is so much ahead of that of NATS that it takes every hold for one of long ago; see to its time service',
  },
  SESSIONS_LINGER: {http: 503, next: 'retry', text: 'processes of the user did not end in time'},
  COPY_FAILED: {http: 503, next: 'retry', text: 'the mailbox could not be copied'},
  SEED_UNFIT: {http: 409, next: 'replan', text: 'this mailbox cannot go as files'},
  CANCELLED: {http: 409, next: 'stop', text: 'a person or a newer decision ended it'},
  MESSAGE_UNREADABLE: {
    http: 409,
    next: 'fix',
    text: 'Dovecot cannot read a message of the mailbox; is its file as long as its name says?',
  },
  MANIFEST_DIFFERS: {http: 409, next: 'page', text: 'the copies on source and target differ'},
  FLIP_TOO_LATE: {http: 409, next: 'retry', text: 'the route was written after its deadline and is void'},
  HOST_SILENT: {http: 503, next: 'retry', text: 'no answer from the agent in time'},
  COMMAND_UNKNOWN: {http: 501, next: 'fix', text: 'this agent does not know that command'},
  COMMAND_FAILED: {http: 503, next: 'retry', text: 'a command on the host failed'},
  NOT_EMPTY: {http: 409, next: 'replan', text: 'the host still holds something that must not be lost'},
  WIPE_TOKEN: {http: 409, next: 'fix', text: 'the safe-to-wipe token is missing, expired, or of another host'},
  REINSTALL_FAILED: {http: 502, next: 'page', text: 'the reinstall driver failed'},
  STORE_CONFLICT: {http: 409, next: 'retry', text: 'someone else wrote that record meanwhile'},
  STORE_CORRUPT: {http: 500, next: 'page', text: 'a stored record does not fit its schema'},
  AUDIT_FAILED: {
    http: 503,
    next: 'fix',
    text: 'what was asked cannot be written to the audit log, and so is not done; is the disk of the coordinator full?',
  },
  NATS_DOWN: {http: 503, next: 'retry', text: 'NATS does not answer'},
  PUBLISH_REFUSED: {http: 502, next: 'fix', text: 'the NATS server does not take this message'},
  NATIVE_FAILED: {http: 500, next: 'fix', text: 'a kernel interface could not be read'},
  ADVICE_UNKNOWN: {http: 404, next: 'fix', text: 'the host gives no such advice now'},
  TUNE_REFUSED: {http: 409, next: 'fix', text: 'the kernel value is not changed'},
  RELIEF_REFUSED: {http: 409, next: 'fix', text: 'the queue of this host cannot be relieved'},
  PROBE_FAILED: {http: 503, next: 'retry', text: 'a probe did not come through'},
  API_FAILED: {http: 502, next: 'retry', text: 'the coordinator did not answer as expected'},
  INTERNAL: {http: 500, next: 'page', text: 'an unexpected failure'},
} as const;

export type Code = keyof typeof CODES;

/** What travels on the wire and stands in records: an error as data. */
export interface Refusal {
  code: Code;
  detail: Record<string, unknown>;
}

/** An error with a code, details, and (by its code) what to do next. Nobody reads message text in an `if`. */
export class MailherdError extends Error {
  override readonly name = 'MailherdError';
  readonly code: Code;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(code: Code, detail: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(`${code}: ${CODES[code].text}${describe(detail)}`, options);
    this.code = code;
    this.detail = detail;
  }
}

function describe(detail: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(detail).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return pairs.length === 0 ? '' : ` (${pairs.join(', ')})`;
}

/** Any thrown value as data for the wire: MailherdError keeps its code, everything else is INTERNAL with its text. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof MailherdError) return {code: error.code, detail: {...error.detail}};
  return {code: 'INTERNAL', detail: {reason: error instanceof Error ? error.message : String(error)}};
}

/** The error a refusal from the wire stands for; unknown codes of a newer peer become INTERNAL and keep the code in the detail. */
export function fromRefusal(refusal: {code: string; detail: Record<string, unknown>}): MailherdError {
  if (Object.hasOwn(CODES, refusal.code)) return new MailherdError(refusal.code as Code, refusal.detail);
  return new MailherdError('INTERNAL', {...refusal.detail, peerCode: refusal.code});
}
