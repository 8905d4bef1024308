import type {ImapFlow} from 'imapflow';
import {seededRng} from '../../base/random.ts';
import type {ApiAccess} from '../../farm/api.io.ts';
import {audit, snapshot} from '../../farm/audit.io.ts';
import type {Farm} from '../../farm/farm.io.ts';
import {type UserSpec, users} from '../../farm/layout.ts';
import {readCorpus} from '../../farm/mail/corpus.io.ts';
import {quantile} from '../../farm/mail/felt.ts';
import {imapClient} from '../../farm/mail/imap.io.ts';
import {openLedger} from '../../farm/mail/ledger.io.ts';
import {homeOf} from '../../farm/mail/owned.io.ts';
import {ended, purgeMove, startMove} from '../../farm/moves.io.ts';
import {hostPaths} from '../../farm/paths.ts';
import {runSender} from '../../farm/traffic/sender.io.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {formatOf} from './farm.io.ts';
import {fillMaildir} from './mailbox.io.ts';

const HOSTS = ['m12a', 'm12b'] as const;
const USERS = 6;
const MESSAGES = 1_000;
const MAILS_PER_SECOND = 3;
const MOVE_TIMEOUT_MS = 60_000;
/** The client goes on so long after the move: what is slow then counts too. */
const AFTER_MS = 500;
const OPERATION_MS = 10;

/**
 * Moves users to and fro while each has a mail program that stores a flag again and again and connects again at once, and mail comes in.
 * The pause is what that program sees: from its last success at the source to its first at the target.
 */
export async function measurePauses(farm: Farm, access: ApiAccess, moves: number): Promise<Record<string, unknown>> {
  const movers = users(farm.layout)
    .filter(({user, host}) => host === HOSTS[0] && formatOf(user) === 'maildir')
    .slice(-USERS);
  const corpus = await readCorpus(500);
  for (const [index, mover] of movers.entries()) {
    await fillMaildir(`${homeOf(hostPaths(farm.paths, mover.host).store, mover.user)}/Maildir`, MESSAGES, corpus, index);
    const program = new BusyProgram(farm, mover);
    await program.began;
    await program.stop();
  }
  await snapshot(farm);
  const stop = new AbortController();
  const ledger = openLedger(farm.paths.ledger);
  const mail = {layout: farm.layout, users: movers, corpus, ledger, rng: seededRng(7), run: 'pause', perSecond: () => MAILS_PER_SECOND};
  const sending = runSender({...mail, signal: stop.signal});
  const pauses: number[] = [];
  let backedOut = 0;
  const last = new Map<string, MoveRecord>();
  for (let count = 0; count < moves; count++) {
    const mover = movers[count % movers.length] as UserSpec;
    const {record, pauseMs} = await moveOne(farm, access, mover, last.get(mover.user));
    if (record.step === 'retained') last.set(mover.user, record);
    else backedOut++;
    pauses.push(pauseMs);
    const held = Math.round(record.pauseMs ?? 0);
    farm.say(
      `${count + 1}/${moves} ${mover.user} -> ${record.target}: ${record.step}, pause ${Math.round(pauseMs)} ms seen, ${held} ms held`,
    );
  }
  stop.abort();
  await sending;
  ledger.close();
  const found = await audit(farm, 120_000);
  return {
    pauseMsP50: Math.round(quantile(pauses, 0.5) ?? Number.NaN),
    pauseMsP99: Math.round(quantile(pauses, 0.99) ?? Number.NaN),
    pauseMsMax: Math.round(Math.max(...pauses)),
    moves: pauses.length,
    backedOut,
    accepted: found.accepted,
    lost: found.lost.length,
    duplicated: found.duplicated.length,
    uidsChanged: found.uidsChanged.length,
  };
}

async function moveOne(
  farm: Farm,
  access: ApiAccess,
  mover: UserSpec,
  before: MoveRecord | undefined,
): Promise<{record: MoveRecord; pauseMs: number}> {
  if (before !== undefined && (await purgeMove(access, before.id))?.step !== 'purged')
    throw new Error(`the copy of move ${before.id} cannot be purged`);
  const target = before?.target === HOSTS[1] ? HOSTS[0] : HOSTS[1];
  const program = new BusyProgram(farm, mover);
  await program.began;
  const begunMs = performance.now();
  const record = await ended(access, await startMove(access, mover.user, target), MOVE_TIMEOUT_MS);
  if (record === null) throw new Error(`the move of ${mover.user} does not end`);
  await new Promise(resolve => setTimeout(resolve, AFTER_MS));
  const successes = await program.stop();
  return {record, pauseMs: longestGap(successes.filter(at => at >= begunMs))};
}

async function storeFlag(client: ImapFlow): Promise<void> {
  if (!(await client.messageFlagsAdd('1', ['\\Seen']))) throw new Error('the flag was not stored');
}

/** A mail program that stores a flag all the time, and connects again at once when it is cut off. */
class BusyProgram {
  readonly #successes: number[] = [];
  readonly #done: Promise<void>;
  readonly began: Promise<void>;
  #begin: () => void = () => undefined;
  #stopped = false;

  constructor(farm: Farm, user: UserSpec) {
    this.began = new Promise(resolve => {
      this.#begin = resolve;
    });
    this.#done = this.#run(farm, user);
  }

  async #run(farm: Farm, user: UserSpec): Promise<void> {
    while (!this.#stopped) {
      const client = imapClient(farm.layout, user, false);
      try {
        await client.connect();
        await client.mailboxOpen('INBOX');
        while (!this.#stopped) {
          await storeFlag(client);
          this.#successes.push(performance.now());
          this.#begin();
          await new Promise(resolve => setTimeout(resolve, OPERATION_MS));
        }
        await client.logout();
      } catch (error) {
        client.close();
        if (this.#stopped) farm.say(`the mail program of ${user.user} was cut off while it stopped: ${String(error)}`);
      }
    }
  }

  /** @returns when it succeeded. */
  async stop(): Promise<readonly number[]> {
    this.#stopped = true;
    await this.#done;
    return this.#successes;
  }
}

function longestGap(times: readonly number[]): number {
  return Math.max(...times.slice(1).map((at, index) => at - (times[index] as number)));
}
