import {SMTPServer} from 'smtp-server';
import type {Layout} from '../layout.ts';
import type {Ledger} from '../mail/ledger.io.ts';

/** The rest of the world's mail server: whatever the farm sends out ends here, and is noted. Listens on the farm's own bridge only. */
export async function startOutside(layout: Layout, ledger: Ledger): Promise<{close: () => Promise<void>}> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const subject = /^subject: .*$/im.exec(Buffer.concat(chunks).toString('latin1'))?.[0] ?? '';
        for (const to of session.envelope.rcptTo) ledger.note({kind: 'bounced', user: to.address, reason: subject.slice(0, 200)});
        callback();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.server.once('error', reject);
    server.listen(layout.outsidePort, layout.machineAddress, () => resolve());
  });
  return {close: () => new Promise(resolve => server.close(() => resolve()))};
}
