import {type Bytes, DAY_MS, type Instant} from '../../base/units.ts';
import type {CapacityFigure, Forecast} from '../../wire/capacity.ts';
import {leadDaysOf, type Policy} from '../../wire/policy.ts';
import type {HostStage} from '../../wire/record.ts';
import type {Fleet} from '../fleet.ts';

/** They hold nothing yet, or nothing any more. */
const NO_CAPACITY: ReadonlySet<HostStage> = new Set(['ordered', 'arrived', 'provisioning', 'failed', 'retired']);
/** Of less of the farm no figure is made: what is not known must not look like growth or room. */
const KNOWN_SHARE_MIN = 0.9;
/** Growth of a week is the least that is told. */
const SPAN_DAYS_MIN = 7;
const FIGURES_MIN = 5;
/** What grows faster lately counts, and what has grown for long though it rests lately. */
const LATELY_DAYS = 30;
/** An order takes some days until it is made. */
const NOTICE_DAYS = 14;
const MONTH_DAYS = 30;

/** What the farm holds and could hold now; null while too few of its hosts have told their space. */
export function capacityOf(fleet: Fleet, policy: Policy, nowMs: Instant): CapacityFigure | null {
  const backends = [...fleet.hosts.values()].filter(({record}) => record.role === 'backend' && !NO_CAPACITY.has(record.stage));
  const stores = backends.flatMap(({reports}) => reports.findLast(({mailStore}) => mailStore !== null)?.mailStore ?? []);
  const known = stores.filter(({totalBytes, freeBytes}) => totalBytes > 0 && freeBytes >= 0 && freeBytes <= totalBytes);
  if (known.length === 0 || known.length < KNOWN_SHARE_MIN * backends.length) return null;
  const scale = backends.length / known.length;
  const totalBytes = sum(known.map(store => store.totalBytes)) * scale;
  const usedBytes = sum(known.map(store => store.totalBytes - store.freeBytes)) * scale;
  const retainedBytes = sum(fleet.moves.flatMap(({step, bytes}) => (step === 'retained' ? [bytes] : [])));
  return {
    atMs: nowMs,
    hosts: backends.length,
    users: fleet.routes.size,
    heldBytes: Math.max(0, Math.round(usedBytes - retainedBytes)),
    usableBytes: Math.round(totalBytes * (1 - policy.place.reserveShare)),
  };
}

/**
 * When the spare falls below what is wanted, if mailboxes go on growing as they did and no host comes. Growth is the median of the slopes
 * between all pairs of days (Theil 1950, Sen 1968), of the last 30 days or of all that is known, whichever is more: a week of double
 * copies, or a day on which an archive came, changes it little.
 * @param history in order of time, not empty.
 */
export function forecastOf(history: readonly [CapacityFigure, ...CapacityFigure[]], policy: Policy, nowMs: Instant): Forecast {
  const figure = history.at(-1) ?? history[0];
  const {heldBytes, usableBytes, hosts} = figure;
  const {headroomShare: wanted} = policy.place;
  const leadDays = leadDaysOf(policy);
  const lately = history.filter(({atMs}) => figure.atMs - atMs <= LATELY_DAYS * DAY_MS);
  const slopes = [growthOf(history), growthOf(lately)].filter(slope => slope !== null);
  const growthBytesPerDay = slopes.length === 0 ? null : Math.max(...slopes);
  const belowAtMs = belowAt(figure, wanted, growthBytesPerDay);
  const orderByMs = belowAtMs === null ? null : Math.max(0, belowAtMs - leadDays * DAY_MS);
  const standardBytes = usableBytes / hosts;
  const orderUntilMs = nowMs + 2 * leadDays * DAY_MS;
  const heldThen = heldBytes + Math.max(0, growthBytesPerDay ?? 0) * ((orderUntilMs - figure.atMs) / DAY_MS);
  return {
    ...{figure, wanted, leadDays, growthBytesPerDay, belowAtMs, orderByMs, orderUntilMs, standardBytes},
    spare: heldBytes === 0 ? Number.MAX_SAFE_INTEGER : usableBytes / heldBytes - 1,
    days: (figure.atMs - history[0].atMs) / DAY_MS,
    isDue: orderByMs !== null && orderByMs - NOTICE_DAYS * DAY_MS <= nowMs,
    hostsPerMonth: growthBytesPerDay === null ? null : (Math.max(0, growthBytesPerDay) * MONTH_DAYS * (1 + wanted)) / standardBytes,
    orderHosts: belowAtMs === null ? null : Math.max(0, Math.ceil((heldThen * (1 + wanted) - usableBytes) / standardBytes)),
  };
}

function belowAt({atMs, heldBytes, usableBytes}: CapacityFigure, wanted: number, growth: number | null): Instant | null {
  const left = usableBytes / (1 + wanted) - heldBytes;
  if (left <= 0) return atMs;
  return growth === null || growth <= 0 ? null : Math.round(atMs + (left / growth) * DAY_MS);
}

/** Bytes a day; null while the figures are too few, or too close together. */
function growthOf(history: readonly CapacityFigure[]): number | null {
  const [first, last] = [history[0], history.at(-1)];
  if (first === undefined || last === undefined || history.length < FIGURES_MIN) return null;
  if (last.atMs - first.atMs < SPAN_DAYS_MIN * DAY_MS) return null;
  const slopes = history.flatMap((from, at) =>
    history.slice(at + 1).flatMap(to => (to.atMs > from.atMs ? [((to.heldBytes - from.heldBytes) / (to.atMs - from.atMs)) * DAY_MS] : [])),
  );
  slopes.sort((a, b) => a - b);
  return slopes[Math.floor((slopes.length - 1) / 2)] ?? null;
}

function sum(values: readonly Bytes[]): Bytes {
  return values.reduce((total, one) => total + one, 0);
}
