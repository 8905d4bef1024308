import Type from 'typebox';
import Value from 'typebox/value';
import {parse as parseYaml} from 'yaml';
import {MailherdError} from '../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../base/units.ts';
import {orNull} from '../wire/schema.ts';

const Path = Type.String({pattern: '^/', description: 'absolute path'});
const closed = {additionalProperties: false, default: {}};

function pathBy(fallback: string, description: string): Type.TString {
  return Type.String({...Path, default: fallback, description});
}

/** Configuration of a coordinator, `/etc/mailherd/coordinator.yaml`. */
export const CoordinatorConfig = Type.Object(
  {
    name: Type.String({pattern: '^[a-z0-9][a-z0-9.-]{0,62}$', description: 'name of this coordinator, shown as the leader'}),
    nats: Type.Object(
      {
        servers: Type.Array(Type.String({minLength: 1}), {minItems: 1, description: 'host:port of each NATS server'}),
        seedFile: {
          ...orNull(Path),
          default: '/etc/mailherd/coordinator.seed',
          description: "file with the coordinator's NATS seed; null: no authentication",
        } as Type.TUnion<[Type.TString, Type.TNull]>,
      },
      {additionalProperties: false},
    ),
    api: Type.Object(
      {
        listen: Type.String({minLength: 2, default: '127.0.0.1', description: 'address the API listens on'}),
        port: Type.Integer({minimum: 1, maximum: 65535, default: 8700}),
        tokensFile: pathBy('/etc/mailherd/tokens.yaml', 'bearer tokens: list of {name, role, sha256}'),
      },
      closed,
    ),
    stateDir: pathBy('/var/lib/mailherd/coordinator', 'audit log, output of reinstalls'),
    reinstallCommand: {
      ...orNull(Type.Array(Type.String({minLength: 1}), {minItems: 1})),
      default: null,
      description: 'program and arguments; HOST and RELEASE are appended. Exit 0: installed and booted. null: nothing is reinstalled',
    } as Type.TUnion<[Type.TArray<Type.TString>, Type.TNull]>,
    roundMs: Type.Integer({minimum: 200, maximum: 60_000, default: 2 * SECOND_MS, description: 'one round of judging and deciding'}),
    sizesMs: Type.Integer({minimum: 1_000, default: 10 * MINUTE_MS, description: 'how often mailbox sizes are asked for'}),
    logLevel: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')], {default: 'info'}),
  },
  {additionalProperties: false},
);
export type CoordinatorConfig = Type.Static<typeof CoordinatorConfig>;

/** One bearer token: only its digest is stored. */
export const ApiToken = Type.Object(
  {
    name: Type.String({minLength: 1, maxLength: 64, description: 'who calls; written to the audit log'}),
    role: Type.Union([Type.Literal('read'), Type.Literal('operate')]),
    sha256: Type.String({pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the token, lower-case hex'}),
  },
  {additionalProperties: false},
);
export type ApiToken = Type.Static<typeof ApiToken>;
const ApiTokens = Type.Array(ApiToken);

/**
 * The text of a coordinator's configuration file, defaults filled in.
 * @param file its name, for the error. @throws MailherdError CONFIG_INVALID with file, path in it, and reason.
 */
export function parseCoordinatorConfig(text: string, file: string): CoordinatorConfig {
  return parseFile(CoordinatorConfig, {}, text, file);
}

/** The text of a tokens file. @throws MailherdError CONFIG_INVALID with file, path in it, and reason. */
export function parseApiTokens(text: string, file: string): ApiToken[] {
  const tokens = parseFile(ApiTokens, [], text, file);
  const names = new Set<string>();
  for (const [index, {name}] of tokens.entries()) {
    if (names.has(name)) throw new MailherdError('CONFIG_INVALID', {file, path: `/${index}/name`, reason: 'must be unique'});
    names.add(name);
  }
  return tokens;
}

function parseFile<T extends Type.TSchema>(schema: T, empty: unknown, text: string, file: string): Type.Static<T> {
  let value: unknown;
  try {
    value = parseYaml(text) ?? empty;
  } catch (cause) {
    const reason = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0];
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason}, {cause});
  }
  const filled = Value.Default(schema, value);
  if (Value.Check(schema, filled)) return filled as Type.Static<T>;
  const first = Value.Errors(schema, filled)[0];
  const reason = first?.message === 'schema is false' ? 'is not a name that the coordinator knows' : (first?.message ?? 'does not fit');
  throw new MailherdError('CONFIG_INVALID', {file, path: first?.instancePath || '/', reason});
}
