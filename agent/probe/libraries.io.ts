import {createRequire} from 'node:module';

/**
 * What the probes speak IMAP and SMTP with, loaded as CommonJS. Their ES modules import `node:http`, and Node then reads HTTP/2, undici
 * and the REPL for that module's namespace: 8 MB of every agent that nobody uses.
 */
const require = createRequire(import.meta.url);

export const {ImapFlow} = require('imapflow') as typeof import('imapflow');
export const SmtpConnection = require('nodemailer/lib/smtp-connection') as typeof import('nodemailer/lib/smtp-connection').default;
export const {SMTPServer} = require('smtp-server') as typeof import('smtp-server');
