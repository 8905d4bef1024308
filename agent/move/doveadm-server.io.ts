import {connect, type Socket} from 'node:net';
import Type from 'typebox';
import {type Millis, SECOND_MS} from '../../base/units.ts';
import {decode} from '../../wire/codec.ts';
import {must} from './doveadm-run.io.ts';
import {escapeTab, parseTab, tabRows, unescapeTab, valueRows} from './tab.ts';

/** What is asked for again is asked for soon: each connection keeps a process of Dovecot. */
const IDLE_MS: Millis = 30 * SECOND_MS;
/** Dovecot starts no process beyond its `process_limit`: whoever is one too many hears nothing. */
const GREETING_MS: Millis = 2 * SECOND_MS;
const CONNECTIONS_MAX = 32;

/** Commands for a user make a process of 2.3 his; what only root may ask needs another one. */
type Kind = 'user' | 'host';

/**
 * doveadm's own server, by its UNIX socket, which takes commands from root without a password (Dovecot's "doveadm protocol", version
 * 1.0, the same in 2.3 and 2.4). A command to a process that waits for it costs 1 to 5 ms, a program 25 to 50, nearly all of it its
 * start. It is a short cut, never a condition: where it does not work, for whatever reason, the program is run, and tells the reason.
 */
export class DoveadmServer {
  readonly #path: string;
  readonly #idle: Record<Kind, Connection[]> = {user: [], host: []};
  #open = 0;

  /** @param path of its socket. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * A command for a user, `doveadm -f tab` or the same by the server.
   * @param command its words, then arguments. @param columns of its answer, in order: the server does not name them.
   * @param options for the program; the server knows none. @throws MailherdError USER_UNSERVED, COMMAND_FAILED.
   */
  async rows(
    user: string,
    command: readonly string[],
    columns: readonly string[],
    options?: readonly string[],
  ): Promise<Record<string, string>[]> {
    return [...(await this.eachRow(user, command, columns, options))];
  }

  /** The same, one row after the other, for an answer with a row for each message. */
  async eachRow(
    user: string,
    [words = '', ...args]: readonly string[],
    columns: readonly string[],
    options: readonly string[] = [],
  ): Promise<Iterable<Record<string, string>>> {
    const answer = options.length === 0 ? await this.#ask(user, [words, ...args]) : null;
    if (answer === null || tabsIn(answer) % columns.length !== 0)
      return tabRows(await must([...options, '-f', 'tab', ...words.split(' '), '-u', user, ...args]));
    return valueRows(answer, columns);
  }

  /** Has so many processes ready that commands which are to be quick find one. Never rejects. */
  async prepare(kind: Kind, count: number): Promise<void> {
    const missing = Math.max(0, count - this.#idle[kind].length);
    const opened = await Promise.all(Array.from({length: missing}, () => this.#connect(kind)));
    for (const connection of opened) if (connection?.rest(IDLE_MS) === true) this.#idle[kind].push(connection);
  }

  /**
   * One command. @param user null: for nobody's mailbox.
   * @returns the values of its answer, row after row; null when the server did not do it.
   */
  async values(user: string | null, command: readonly string[]): Promise<string[] | null> {
    return (await this.#ask(user, command))?.split('\t').slice(0, -1).map(unescapeTab) ?? null;
  }

  /** The first value of a command for a user. @throws MailherdError USER_UNSERVED, COMMAND_FAILED. */
  async value(user: string, [words = '', ...args]: readonly string[]): Promise<string> {
    const values = await this.values(user, [words, ...args]);
    return values === null ? (await must([...words.split(' '), '-u', user, ...args])).trim() : (values[0] ?? '');
  }

  /** What the user database says of him, by field. @throws MailherdError USER_UNSERVED, COMMAND_FAILED. */
  async fields(user: string): Promise<ReadonlyMap<string, string>> {
    const told = readFields(user, (await this.#ask(user, ['user', user])) ?? '');
    if (told !== null) return told;
    const rows = parseTab(await must(['-f', 'tab', 'user', '--', user]));
    return new Map(rows.map(({field = '', value = ''}) => [field, value]));
  }

  /** @returns the answer without its end; null when the server did not do it. */
  async #ask(user: string | null, command: readonly string[]): Promise<string | null> {
    const kind = user === null ? 'host' : 'user';
    const connection = this.#idle[kind].pop() ?? (await this.#connect(kind));
    if (connection === null) return null;
    const answer = await connection.ask(user ?? '', command);
    if (answer !== null && connection.rest(IDLE_MS)) this.#idle[kind].push(connection);
    else connection.end();
    return answer;
  }

  async #connect(kind: Kind): Promise<Connection | null> {
    if (this.#open >= CONNECTIONS_MAX) return null;
    this.#open++;
    const connection = new Connection(this.#path, () => {
      this.#open--;
      this.#idle[kind] = this.#idle[kind].filter(idle => idle !== connection);
    });
    if (await connection.greeted) return connection;
    connection.end();
    return null;
  }
}

function tabsIn(text: string): number {
  let tabs = 0;
  for (let at = text.indexOf('\t'); at !== -1; at = text.indexOf('\t', at + 1)) tabs++;
  return tabs;
}

/** The server tells fields as JSON: `{"ada@example.org":{"uid":"5000",...}}`. @returns null for anything else. */
function readFields(user: string, answer: string): ReadonlyMap<string, string> | null {
  if (!answer.startsWith('{')) return null;
  const told = decode(UserFields, Buffer.from(answer), 'answer of doveadm user')[user];
  return told === undefined ? null : new Map(Object.entries(told));
}

const UserFields = Type.Record(Type.String(), Type.Record(Type.String(), Type.String()));

const DONE = '\n+\n';
const LINE_END = 0x0a;

/** One process of Dovecot, and one command at a time. */
class Connection {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  /** Line ends until the answer is over: values have none in them. */
  #linesLeft = 0;
  #heard: (end: string | null) => void = () => undefined;
  #isGone = false;
  /** Whether it takes commands without a password. */
  readonly greeted: Promise<boolean>;

  constructor(path: string, gone: () => void) {
    const socket = connect(path);
    this.#socket = socket;
    socket.on('data', chunk => {
      this.#chunks.push(chunk);
      for (let at = chunk.indexOf(LINE_END); at !== -1; at = chunk.indexOf(LINE_END, at + 1)) this.#linesLeft--;
      if (this.#linesLeft <= 0) this.#heard(this.#taken());
    });
    socket.on('error', () => socket.destroy());
    socket.on('timeout', () => socket.destroy());
    socket.on('close', () => {
      this.#isGone = true;
      gone();
      this.#heard(null);
    });
    socket.setTimeout(GREETING_MS);
    this.greeted = this.#answer('VERSION\tdoveadm-server\t1\t0\n', 1).then(answer => answer === '+\n');
  }

  /** @returns null when it was refused, or the connection is gone. */
  async ask(user: string, command: readonly string[]): Promise<string | null> {
    // However long that takes.
    this.#socket.setTimeout(0);
    this.#socket.ref();
    const answer = await this.#answer(`${['', user, ...command].map(escapeTab).join('\t')}\n`, 2);
    return answer?.endsWith(DONE) === true ? answer.slice(0, -DONE.length) : null;
  }

  /** Waits for the next command, at most so long. @returns false when it is gone. */
  rest(idleMs: Millis): boolean {
    if (this.#isGone) return false;
    this.#socket.setTimeout(idleMs);
    this.#socket.unref();
    return true;
  }

  end(): void {
    this.#socket.destroy();
  }

  /** While it rests it keeps nothing of what it has brought. */
  #taken(): string {
    const text = Buffer.concat(this.#chunks).toString('utf8');
    this.#chunks = [];
    return text;
  }

  #answer(line: string, lines: number): Promise<string | null> {
    this.#chunks = [];
    this.#linesLeft = lines;
    return new Promise(resolve => {
      if (this.#isGone) resolve(null);
      this.#heard = resolve;
      this.#socket.write(line);
    });
  }
}
