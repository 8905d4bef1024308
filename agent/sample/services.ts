import type {ServiceCount} from '../../native/binding.ts';
import type {ServiceFigures} from '../../wire/mail-figures.ts';

const BUSIEST_MAX = 3;
/** Beside the busiest of all, only those that use so much of what they may. */
const BUSY_SHARE = 0.1;

/** One service with its bound; null: it has none. */
interface Service {
  service: string;
  processes: number;
  max: number | null;
  dropping: boolean;
}

/**
 * Process limits by service (`smtp/inet`) from what `postconf -M` prints: service, type, private, unprivileged, chroot, wakeup, maxproc,
 * command. Source: master(5).
 * @param processLimit default_process_limit, for entries that say `-`.
 */
export function parseMasterCf(text: string, processLimit: number): Map<string, number | null> {
  const limits = new Map<string, number | null>();
  for (const line of text.split('\n')) {
    const [service, type, , , , , maxproc] = line.split(/\s+/);
    if (line.startsWith(' ') || service === undefined || type === undefined || maxproc === undefined) continue;
    const max = maxproc === '-' ? processLimit : Number(maxproc);
    if (isCount(max)) limits.set(`${service}/${type}`, max === 0 ? null : max);
  }
  return limits;
}

export function postfixServices(counts: readonly ServiceCount[], limits: ReadonlyMap<string, number | null>): ServiceFigures {
  const services = counts.map(({service, processes}) => ({service, processes, max: limits.get(service) ?? null, dropping: false}));
  return figuresOf(services, counts.filter(({stressed}) => stressed > 0).length);
}

/**
 * Lines of Dovecot's service status: name, processes, idle ones, process limit, client limit, throttle, two of failures, time of the last
 * warning about dropped connections, whether connections wait, three more. Source: master-client.c of Dovecot 2.3 and 2.4.
 * @param nowS seconds since 1970, by Dovecot's clock: this host's. @param withinS a warning that is younger counts as dropping.
 */
export function dovecotServices(lines: readonly string[], nowS: number, withinS: number): ServiceFigures {
  const services = lines.flatMap((line): Service[] => {
    const [service = '', processes, , max, , , , , lastDrop, pending] = line.split('\t');
    const count = Number(processes ?? Number.NaN);
    const most = Number(max ?? Number.NaN);
    if (!isCount(count) || !isCount(most)) return [];
    const dropping = pending === 'y' || (Number(lastDrop) > 0 && nowS - Number(lastDrop) <= withinS);
    return [{service, processes: count, max: most === 0 ? null : most, dropping}];
  });
  return figuresOf(services, null);
}

/** Services that may run once only are always at their limit. */
function figuresOf(services: readonly Service[], stressed: number | null): ServiceFigures {
  const share = ({processes, max}: Service): number => (max === null ? 0 : processes / max);
  const busiest = services
    .filter(({processes, max, dropping}) => dropping || (processes > 0 && max !== 1))
    .sort((a, b) => Number(b.dropping) - Number(a.dropping) || share(b) - share(a) || b.processes - a.processes);
  const told = busiest.filter((service, at) => at === 0 || service.dropping || share(service) >= BUSY_SHARE);
  return {processes: services.reduce((sum, {processes}) => sum + processes, 0), stressed, busiest: told.slice(0, BUSIEST_MAX)};
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
