import Type from 'typebox';
import Value from 'typebox/value';
import {parse as parseYaml} from 'yaml';
import {MailherdError} from '../base/errors.ts';
import {MIB, MINUTE_MS, SECOND_MS} from '../base/units.ts';
import {HostName, orNull, Role} from '../wire/schema.ts';
import {TuneMode} from '../wire/tune.ts';

/** Exit code of a process whose configuration is not valid. Source: sysexits.h EX_CONFIG. */
export const EXIT_CONFIG = 78;

const Port = Type.Integer({minimum: 1, maximum: 65535});
const Path = Type.String({pattern: '^/', description: 'absolute path'});
const closed = {additionalProperties: false, default: {}};

const NatsConfig = Type.Object(
  {
    servers: Type.Array(Type.String({minLength: 1}), {minItems: 1, description: 'host:port of each NATS server'}),
    seedFile: orNullBy(Path, '/etc/mailherd/agent.seed', "file with this host's NATS seed; null: no authentication"),
  },
  {additionalProperties: false},
);

const MailConfig = Type.Object(
  {
    address: Type.String({default: '127.0.0.1', minLength: 2, description: "where this host's own Postfix and Dovecot are reached"}),
    smtpPort: Type.Integer({...Port, default: 25}),
    imapPort: Type.Integer({...Port, default: 143}),
    lmtpPort: Type.Integer({...Port, default: 24}),
    doveadmPort: Type.Integer({...Port, default: 24245}),
    seedPort: Type.Integer({
      ...Port,
      default: 24246,
      description: 'where mailboxes arrive as files while a move brings one; open to the other backends',
    }),
    moverIdleMs: Type.Integer({
      minimum: 1000,
      maximum: 3_600_000,
      default: 5 * MINUTE_MS,
      description: 'what touches mailboxes ends when no move has asked it for so long',
    }),
    holdPorts: Type.Integer({
      minimum: 0,
      maximum: 1024,
      default: 32,
      description: 'edge: how many users can be moved at once with their logins kept waiting',
    }),
    backendImapPort: Type.Integer({...Port, default: 143, description: 'edge: where the backends answer IMAP'}),
    store: Type.String({...Path, default: '/var/vmail', description: 'where the mailboxes lie'}),
    spool: Type.String({...Path, default: '/var/spool/postfix', description: 'queue_directory of Postfix'}),
    dovecotRun: Type.String({...Path, default: '/run/dovecot', description: 'base_dir of Dovecot'}),
    logFiles: Type.Array(Path, {default: [], maxItems: 8, description: 'files that Postfix and Dovecot log to; none: the journal'}),
  },
  closed,
);

const ProbeConfig = Type.Object(
  {
    intervalMs: Type.Integer({minimum: 1000, maximum: 3_600_000, default: 30 * SECOND_MS, description: 'milliseconds, +/- 20 %'}),
    timeoutMs: Type.Integer({minimum: 100, maximum: 300_000, default: 20 * SECOND_MS, description: 'a probe that takes longer has failed'}),
    user: orNullBy(
      Type.String({minLength: 3, maxLength: 255}),
      null,
      'backend: login name of the probe mailbox; null, and on an edge always: probe@<host>.mailherd.invalid',
    ),
    passwordFile: orNullBy(Path, null, 'file with its password; null: no IMAP login is probed, and of an edge its greetings only'),
    recipient: Type.String({default: 'sink@probe.mailherd.invalid', description: "address that this host's Postfix routes to the sink"}),
    idleConnections: Type.Integer({minimum: 0, maximum: 20, default: 2, description: 'IMAP connections that idle, to notice lost ones'}),
    sinkAddress: Type.String({default: '127.0.0.1', minLength: 2}),
    sinkPort: Type.Integer({...Port, default: 2526}),
  },
  closed,
);

const TuneConfig = Type.Object(
  {
    mode: {
      ...TuneMode,
      default: 'advise',
      description: 'off; advise: changes what a person approves; on: also what the policy of the farm lets it',
    } as typeof TuneMode,
    guardMs: Type.Integer({minimum: 1000, maximum: 3_600_000, default: 120 * SECOND_MS, description: 'pressure is watched after a change'}),
    effectMs: Type.Integer({
      minimum: 1000,
      maximum: 86_400_000,
      default: 600 * SECOND_MS,
      description: 'then the time before and the time since are compared',
    }),
  },
  closed,
);

/** Configuration of an agent, `/etc/mailherd/agent.yaml`. */
export const AgentConfig = Type.Object(
  {
    host: HostName,
    role: Role,
    nats: NatsConfig,
    stateDir: Type.String({...Path, default: '/var/lib/mailherd/agent', description: 'spool, generation, positions'}),
    routesDb: Type.String({...Path, default: '/var/lib/mailherd/routes/routes.db'}),
    reportIntervalMs: Type.Integer({minimum: 1000, maximum: 600_000, default: 10 * SECOND_MS}),
    cpuPercentMax: Type.Number({
      minimum: 0.05,
      maximum: 100,
      default: 0.5,
      description: 'of one core, over a minute; an agent that costs more lets its dearest sources rest',
    }),
    spoolBytesMax: Type.Integer({minimum: MIB, maximum: 1024 * MIB, default: 32 * MIB, description: 'disk for reports while NATS is away'}),
    metricsPort: {
      ...orNull(Type.Integer({...Port})),
      default: 9743,
      description: 'where /metrics is served for Prometheus, on 127.0.0.1 only; null: nowhere',
    } as Type.TUnion<[Type.TInteger, Type.TNull]>,
    labels: Type.Record(Type.String({maxLength: 40}), Type.String({maxLength: 120}), {
      default: {},
      description: 'what the host is, e.g. rack and batch; wins over what the agent finds',
    }),
    mail: MailConfig,
    probe: ProbeConfig,
    tune: TuneConfig,
    logLevel: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')], {default: 'info'}),
  },
  {additionalProperties: false},
);
export type AgentConfig = Type.Static<typeof AgentConfig>;

function orNullBy<T extends Type.TSchema>(schema: T, fallback: string | null, description: string): Type.TUnion<[T, Type.TNull]> {
  return {...orNull(schema), default: fallback, description} as Type.TUnion<[T, Type.TNull]>;
}

/**
 * The text of a configuration file as configuration, defaults filled in.
 * @param file its name, for the error.
 * @throws MailherdError CONFIG_INVALID with file, path in it, and reason.
 */
export function parseAgentConfig(text: string, file: string): AgentConfig {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (cause) {
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: firstLine(cause)}, {cause});
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: 'must be a mapping of names to values'});
  }
  const filled = Value.Default(AgentConfig, value);
  if (Value.Check(AgentConfig, filled)) return filled;
  const first = Value.Errors(AgentConfig, filled)[0];
  throw new MailherdError('CONFIG_INVALID', {
    file,
    path: first?.instancePath || '/',
    reason: first?.message === 'schema is false' ? 'is not a name that the agent knows' : (first?.message ?? 'does not fit'),
  });
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}

/** The mailbox that only the agent uses; its name tells it from every user. */
export function probeUserOf(config: AgentConfig): string {
  return config.probe.user ?? probeUserAt(config.host);
}

/** What it is called unless the configuration says otherwise. */
export function probeUserAt(host: string): string {
  return `probe@${host}.mailherd.invalid`;
}

/** Tells the agents' own users: every name of their domain, on any host, and the probe mailbox of this one, whatever it is called. */
export function isProbeUser({probe}: Pick<AgentConfig, 'probe'>): (user: string) => boolean {
  const own = probe.user?.toLowerCase();
  return user => user.endsWith('.mailherd.invalid') || user.toLowerCase() === own;
}
