import {count} from '../../base/counts.ts';
import type {Instant} from '../../base/units.ts';
import type {Forecast} from '../../wire/capacity.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {MOVE_STEPS} from '../../wire/record.ts';
import type {WaitingMove} from '../move/mover.ts';
import type {Picture} from '../picture.ts';

export interface MetricsSource {
  picture: Picture;
  records: readonly MoveRecord[];
  waiting: readonly WaitingMove[];
  isLeader: boolean;
  refused: ReadonlyMap<string, number>;
  reportAgeMs: (host: string) => number | null;
  nowMs: Instant;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** Prometheus text format 0.0.4; what is not known is left out. */
export function metricsText({picture, records, waiting, isLeader, refused, reportAgeMs, nowMs}: MetricsSource): string {
  const {outcome, hosts, fleet, policy} = picture;
  const hurt = outcome?.hurt ?? null;
  const forecast = picture.capacity.forecast(policy.value, nowMs);
  const ages = [...hosts.keys()].flatMap((host): Sample[] => {
    const ageMs = reportAgeMs(host);
    return ageMs === null ? [] : [[{host}, ageMs / 1_000]];
  });
  return [
    gauge('mailherd_leader', '1 when this coordinator leads', [[{}, isLeader ? 1 : 0]]),
    gauge('mailherd_paused', '1 while automatic work is paused', [[{}, policy.value.paused === null ? 0 : 1]]),
    gauge('mailherd_users', 'Users that have a route', [[{}, fleet.routes.size]]),
    gauge(
      'mailherd_hosts',
      'Hosts by stage',
      counted(
        'stage',
        [...hosts.values()].map(({value}) => value.stage),
      ),
    ),
    gauge(
      'mailherd_host_verdicts',
      'Hosts by verdict',
      counted(
        'verdict',
        (outcome?.verdicts ?? []).map(({kind}) => kind),
      ),
    ),
    gauge(
      'mailherd_host_users',
      'Users by host',
      [...hosts.keys()].map((host): Sample => [{host}, picture.usersOn(host)]),
    ),
    gauge('mailherd_host_report_age_seconds', 'Age of the newest report', ages),
    ...capacity(forecast),
    gauge('mailherd_users_hurt', 'Users who feel something now', hurt === null ? [] : [[{}, hurt.usersHurt]]),
    gauge('mailherd_users_hurt_share', 'Share of users who feel something now', hurt === null ? [] : [[{}, hurt.share]]),
    gauge(
      'mailherd_moves',
      'Moves by step',
      counted(
        'step',
        records.map(({step}) => step),
        MOVE_STEPS,
      ),
    ),
    gauge('mailherd_moves_waiting', 'Planned moves that have not begun', [[{}, waiting.length]]),
    counter(
      'mailherd_reports_refused_total',
      'Reports refused since this coordinator started',
      [...refused].map(([host, count]): Sample => [{host}, count]),
    ),
  ].join('');
}

function capacity(forecast: Forecast | null): string[] {
  if (forecast === null) return [];
  const {spare, orderByMs} = forecast;
  return [
    gauge('mailherd_capacity_spare_share', 'What backends could hold beyond what they do, as a share of that', [[{}, spare]]),
    gauge(
      'mailherd_hardware_order_by_seconds',
      'When hardware must be ordered, seconds since 1970, by the growth seen',
      orderByMs === null ? [] : [[{}, Math.round(orderByMs / 1_000)]],
    ),
  ];
}

function counted(label: string, values: readonly string[], always: readonly string[] = []): Sample[] {
  const counts = new Map<string, number>(always.map(value => [value, 0]));
  for (const value of values) count(counts, value);
  return [...counts].map(([value, times]) => [{[label]: value}, times]);
}

function gauge(name: string, help: string, samples: readonly Sample[]): string {
  return family('gauge', name, help, samples);
}

function counter(name: string, help: string, samples: readonly Sample[]): string {
  return family('counter', name, help, samples);
}

function family(type: string, name: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`);
    return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
