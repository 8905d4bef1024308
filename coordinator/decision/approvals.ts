import {MailherdError} from '../../base/errors.ts';
import type {Decision} from '../../wire/record.ts';

/** Which decision a person means. */
export interface Approval {
  kind: Decision['kind'];
  /** null for what concerns the whole farm. */
  host: string | null;
}

/**
 * What people approved of what is only proposed (mode `approve`). An approval holds for as long as the same thing is decided round after
 * round, and is gone with the leader: whoever comes after asks again.
 */
export class Approvals {
  #given: ReadonlySet<string> = new Set();

  /** @throws MailherdError DECISION_UNKNOWN when that is not proposed now; DECISION_VETOED with the codes of what stops it. */
  approve(wish: Approval, decisions: readonly Decision[]): Decision {
    const decision = decisions.find(each => keyOf(each) === keyOf(wish) && each.mode === 'approve');
    if (decision === undefined) throw new MailherdError('DECISION_UNKNOWN', {...wish});
    if (decision.vetoes.length > 0) throw new MailherdError('DECISION_VETOED', {...wish, vetoes: decision.vetoes});
    this.#given = new Set([...this.#given, keyOf(wish)]);
    return decision;
  }

  /** The decisions of a round, those that were approved as if their mode were `on`. Approvals of what is no longer decided are void. */
  apply(decisions: readonly Decision[]): Decision[] {
    const present = new Set(decisions.map(keyOf));
    this.#given = new Set([...this.#given].filter(key => present.has(key)));
    return decisions.map(each => (each.mode === 'approve' && this.#given.has(keyOf(each)) ? {...each, mode: 'on'} : each));
  }
}

function keyOf({kind, host}: Approval): string {
  return `${kind} ${host ?? ''}`;
}
