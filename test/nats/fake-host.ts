import {jetstream} from '@nats-io/jetstream';
import type {NatsConnection} from '@nats-io/transport-node';
import {encode} from '../../wire/codec.ts';
import {type HostReport, HostReport as HostReportSchema, reportId} from '../../wire/report.ts';
import {commandSubjects, reportSubject} from '../../wire/subjects.ts';

const REPORT_MS = 200;

/** A host as the coordinator sees it: reports and answers over its own NATS credential; no mail in it. */
export class FakeHost {
  readonly name: string;
  os: string;
  generation = 1;
  queued = 0;
  isSick = false;
  /** What it was asked to do for its queue, as its reports tell. */
  relief: HostReport['relief'] = null;
  /** Of its mailboxes; told one by one, each a page of its own. */
  mailboxes: {user: string; bytes: number; messages: number; deliveriesPerDay: number; sessionsPerDay: number}[] = [];
  readonly commands: {verb: string; request: Record<string, unknown>}[] = [];
  readonly #nc: NatsConnection;
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  #published: Promise<void> = Promise.resolve();

  constructor(name: string, os: string, nc: NatsConnection) {
    this.name = name;
    this.os = os;
    this.#nc = nc;
    this.#timer = setInterval(() => void this.report().catch(() => undefined), REPORT_MS);
    void this.#serve();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One after the other, as an agent does: an older one that arrives later is refused. */
  report(over: object = {}): Promise<void> {
    const publish = async (): Promise<void> => {
      const report = {...this.#report(), ...over} as HostReport;
      await jetstream(this.#nc).publish(reportSubject(this.name), encode(HostReportSchema, report), {msgID: reportId(report)});
    };
    const published = this.#published.then(publish, publish);
    this.#published = published;
    return published;
  }

  #report(): HostReport {
    const slow = this.isSick ? 60_000 : 300;
    const {name: host, generation, os} = this;
    return {
      v: 1,
      host,
      role: 'backend',
      generation,
      sequence: ++this.#sequence,
      sampledAtMs: Date.now(),
      intervalMs: REPORT_MS,
      labels: {os},
      slis: {
        deliveryMsP50: slow / 2,
        deliveryMsP95: slow,
        queueAgeMsP95: slow,
        queueAgeMsMax: slow,
        probeDeliveryMs: 100,
        probeLoginMs: 50,
        probeFailureShare: 0,
        imapDropped: 0,
        imapSessions: 5,
      },
      load: {deliveriesPerSecond: 2, loginsPerSecond: 1, imapSessions: 5, users: null, activeUsers: null},
      kernel: KERNEL,
      queue: {maildrop: 0, incoming: 0, active: 1, deferred: this.queued, hold: 0, complete: true},
      mailStore: {totalBytes: 1e11, freeBytes: 9e10, freeInodes: 1e6},
      routeRevision: 1,
      relief: this.relief ?? null,
      agent: {version: '0.1.0', cpuMs: 1, rssBytes: 5e7, spooled: 0, dropped: 0, failing: {}},
    };
  }

  async #serve(): Promise<void> {
    for await (const message of this.#nc.subscribe(commandSubjects(this.name))) {
      const verb = message.subject.split('.').at(-1) ?? '';
      const request = message.json<Record<string, unknown>>();
      this.commands.push({verb, request});
      message.respond(JSON.stringify({ok: true, answer: this.#answer(verb, request)}));
    }
  }

  #relieve({relay, spanMs, by}: Record<string, unknown>): void {
    const nowMs = Date.now();
    const span = Number(spanMs);
    this.relief = span === 0 ? null : {relay: relay as string | null, sinceMs: nowMs, untilMs: nowMs + span, by: String(by)};
  }

  #page(after: string): object {
    const [first, ...more] = this.mailboxes.filter(({user}) => user > after);
    return {mailboxes: first === undefined ? [] : [first], next: more.length === 0 ? null : first?.user};
  }

  #answer(verb: string, request: Record<string, unknown>): object {
    if (verb === 'relieve') this.#relieve(request);
    const manifest = {folders: [{...FOLDER, digest: `of ${request.user}`}], subscriptions: [], sieve: [], lines: null};
    const answers: Record<string, object> = {
      needs: {needs: []},
      reserve: {freeBytes: 9e10},
      receive: {offer: null},
      copy: {tookMs: 1, again: false},
      persist: {tookMs: 1},
      calm: {deliveries: 0, tookMs: 1},
      hold: {tookMs: 1},
      readTexts: {messages: 1, tookMs: 1},
      manifest: {manifest, tookMs: 1},
      adopt: {appliedAtMs: Date.now()},
      retain: {appliedAtMs: Date.now()},
      discard: {removedBytes: 1},
      sync: {revision: Number(request.revision ?? 0)},
      retry: {requeued: 0},
      relieve: {queued: this.queued, elsewhere: 1, outgoing: 2},
      mailboxes: this.#page(String(request.after ?? '')),
      wipeCheck: {users: 0, queued: this.queued, copies: []},
    };
    return answers[verb] ?? {};
  }
}

const FOLDER = {
  name: 'INBOX',
  guid: 'g',
  uidValidity: 1,
  uidNext: 2,
  highestModseq: 1,
  messages: 1,
  bytes: 10,
  digest: '',
  texts: 'read',
  acl: [],
};
const KERNEL = Object.fromEntries(
  Object.keys(HostReportSchema.properties.kernel.properties).map(name => [name, null]),
) as unknown as HostReport['kernel'];
