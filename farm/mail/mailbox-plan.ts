import type {Rng} from '../../base/random.ts';
import type {Instant} from '../../base/units.ts';

/** One message of a planned mailbox; `corpus` is its place in the corpus. */
export interface PlannedMessage {
  corpus: number;
  /** Letters of Maildir flags: D draft, F flagged, R answered, S seen. */
  flags: string;
  keywords: string[];
  receivedAtMs: Instant;
}

/** One folder; `path` is its name, parts are joined with `/`. */
export interface PlannedFolder {
  path: string;
  isSubscribed: boolean;
  messages: PlannedMessage[];
}

/** Folders as people have them: nested ones, a space, other alphabets, characters IMAP must escape, and an empty one. */
const FOLDERS = [
  'INBOX',
  'Sent',
  'Archive/2002',
  'Archive/2002/Summer Party',
  'Entwürfe & Ideen',
  'Проекты/Сервер',
  'Lists',
  'Empty',
] as const;

/** Where the Sieve script files what is marked for it. */
export const SIEVE_FOLDER = 'Lists/Filed';
/** Header and value that make the Sieve script file a message. */
export const SIEVE_HEADER = 'X-Topic';
export const SIEVE_VALUE = 'filed';

export const SIEVE_SCRIPT = `require ["fileinto", "mailbox", "imap4flags"];
# what is about the lists goes to its own folder
if header :is "${SIEVE_HEADER}" "${SIEVE_VALUE}" {
  addflag "$Filed";
  fileinto :create "${SIEVE_FOLDER}";
}
`;

const KEYWORDS = ['$Label1', '$Forwarded', 'Projekt', 'todo-later'] as const;

/** How many messages a mailbox starts with, from..to. */
const SIZE = {from: 20, to: 50};

/** What a customer's mailbox holds at the start; the same for the same chance. @param corpusSize messages to choose from. */
export function planMailbox(rng: Rng, corpusSize: number, now: Instant): PlannedFolder[] {
  const folders: PlannedFolder[] = FOLDERS.map(path => ({path, isSubscribed: path !== 'Lists' && path !== 'Archive/2002', messages: []}));
  const count = SIZE.from + rng.below(SIZE.to - SIZE.from);
  const used = new Set<number>();
  for (let index = 0; index < count; index++) {
    let corpus = rng.below(corpusSize);
    while (used.has(corpus)) corpus = (corpus + 1) % corpusSize;
    used.add(corpus);
    const place = index % 3 === 0 ? 0 : rng.below(folders.length - 1);
    folders[place]?.messages.push({
      corpus,
      flags: ['F', 'R', 'S'].filter(() => rng.unit() < 0.4).join(''),
      keywords: KEYWORDS.filter(() => rng.unit() < 0.15),
      receivedAtMs: now - Math.floor(rng.between(1, 400) * 86_400_000),
    });
  }
  return folders;
}

/** A folder's name as IMAP and Maildir++ write it: UTF-16 in a base64 of its own (RFC 3501 section 5.1.3). */
export function modifiedUtf7(name: string): string {
  return name.replace(/&|[^\x20-\x7e]+/g, part => {
    if (part === '&') return '&-';
    const bytes = [...part].flatMap(letter => Array.from({length: letter.length}, (_, index) => letter.charCodeAt(index)));
    const text = String.fromCharCode(...bytes.flatMap(code => [code >> 8, code & 255]));
    return `&${btoa(text).replace(/=+$/, '').replaceAll('/', ',')}-`;
  });
}

/** Directory of a folder inside a Maildir++: `.` joins the parts, INBOX is the maildir itself. */
export function maildirName(path: string): string {
  return path === 'INBOX' ? '' : `.${path.split('/').map(modifiedUtf7).join('.')}`;
}
