/** Message-IDs of the mails of which Postfix's log says that they may be sent more than once. */
export function resentInLog(log: string): string[] {
  const ids = new Map<string, string>();
  const resent: string[] = [];
  for (const line of log.split('\n')) {
    const [, queueId, messageId] = /^([0-9A-Za-z]+): message-id=(<[^>]*>)/.exec(line) ?? [];
    if (queueId !== undefined && messageId !== undefined) ids.set(queueId, messageId);
    const [, again] = /^([0-9A-Za-z]+): to=.*may be sent more than once/.exec(line) ?? [];
    const id = again === undefined ? undefined : ids.get(again);
    if (id !== undefined) resent.push(id);
  }
  return resent;
}
