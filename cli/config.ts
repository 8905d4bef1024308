import Type from 'typebox';
import {parse as parseYaml} from 'yaml';
import {MailherdError} from '../base/errors.ts';
import {parse} from '../wire/codec.ts';

export const CLI_CONFIG_FILE = '/etc/mailherd/cli.yaml';
const DEFAULT_API = 'http://127.0.0.1:8700';

/** `/etc/mailherd/cli.yaml`: where the coordinators are and what to show them. */
export const CliConfig = Type.Object(
  {
    /** One address, or that of every coordinator: the one that leads is found. */
    api: Type.Optional(Type.Union([Type.String({minLength: 1}), Type.Array(Type.String({minLength: 1}), {minItems: 1})])),
    token: Type.Optional(Type.String({minLength: 1})),
  },
  {additionalProperties: false},
);

export interface Access {
  /** Base addresses without a slash at the end, in the order to try. */
  api: string[];
  token: string | null;
}

/**
 * The environment (MAILHERD_API with addresses divided by commas, MAILHERD_TOKEN) goes before the file.
 * @param text of the file, null when it is not there. @throws MailherdError CONFIG_INVALID with file, path in it, and reason.
 */
export function accessFrom(env: Readonly<Record<string, string | undefined>>, text: string | null, file: string): Access {
  const config = text === null ? {} : parseCliConfig(text, file);
  const told = env.MAILHERD_API?.split(',') ?? config.api ?? DEFAULT_API;
  const source = env.MAILHERD_API === undefined ? file : 'MAILHERD_API';
  const api = (Array.isArray(told) ? told : [told]).map(address => baseOf(address.trim(), source));
  return {api, token: env.MAILHERD_TOKEN ?? config.token ?? null};
}

function parseCliConfig(text: string, file: string): Type.Static<typeof CliConfig> {
  let value: unknown;
  try {
    value = parseYaml(text) ?? {};
  } catch (cause) {
    const reason = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0];
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason}, {cause});
  }
  try {
    return parse(CliConfig, value, file);
  } catch (error) {
    if (error instanceof MailherdError)
      throw new MailherdError('CONFIG_INVALID', {file, path: error.detail.path, reason: error.detail.reason});
    throw error;
  }
}

function baseOf(address: string, file: string): string {
  const isAddress = URL.canParse(address) && /^https?:$/.test(new URL(address).protocol);
  if (!isAddress) throw new MailherdError('CONFIG_INVALID', {file, path: '/api', reason: `${address} is not an http address`});
  return address.replace(/\/+$/, '');
}
