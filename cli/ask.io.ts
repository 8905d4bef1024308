import {readFileSync} from 'node:fs';
import {InvalidArgumentError} from 'commander';
import type {Look} from '../base/format.ts';
import {look} from '../base/terminal.io.ts';
import {ApiClient} from './client.io.ts';
import {accessFrom, CLI_CONFIG_FILE} from './config.ts';

/** Options that every command of an operator has. */
export interface Common {
  json?: true;
}

/** Of commands whose list is cut short unless told. */
export interface All {
  all?: true;
}

export function show<T>(options: Common, answer: T, render: (answer: T, look: Look) => string): void {
  print(options.json ? JSON.stringify(answer, null, 2) : render(answer, look()));
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function get<T>(path: string): Promise<T> {
  return client().call<T>('GET', path);
}

export function post<T>(path: string, body: object): Promise<T> {
  return client().call<T>('POST', path, body);
}

/** Path part; names of users hold anything. */
export function part(name: string): string {
  return encodeURIComponent(name);
}

export function client(): ApiClient {
  return new ApiClient(accessFrom(process.env, readConfig(), CLI_CONFIG_FILE));
}

/** null when there is no file, or it belongs to others and the environment says it all. */
function readConfig(): string | null {
  const {MAILHERD_API, MAILHERD_TOKEN} = process.env;
  try {
    return readFileSync(CLI_CONFIG_FILE, 'utf8');
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || (code === 'EACCES' && MAILHERD_API !== undefined && MAILHERD_TOKEN !== undefined)) return null;
    throw error;
  }
}

export function count(text: string): string {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a number.');
  return text;
}

export function example(...lines: string[]): string {
  return `\nExamples:\n${lines.map(line => `  $ ${line}`).join('\n')}`;
}
