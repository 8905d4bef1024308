import {Command} from 'commander';
import {stringify as stringifyYaml} from 'yaml';
import {MailherdError} from '../base/errors.ts';
import type {
  ErrorView,
  FarmView,
  HostView,
  HurtView,
  IncidentsView,
  PolicyView,
  UsersView,
  UserView,
  VerdictsView,
  WhatIfView,
} from '../wire/api.ts';
import type {FarmEvent} from '../wire/event.ts';
import type {Incident} from '../wire/incident.ts';
import {ACTION_KINDS} from '../wire/policy.ts';
import type {Decision, HostRecord, Plan} from '../wire/record.ts';
import type {Route} from '../wire/route.ts';
import {decisionWords} from '../wire/words.ts';
import {type All, type Common, client, count, example, get, part, post, print, show} from './ask.io.ts';
import {Refused} from './client.io.ts';
import {isProposed, renderDecisions} from './decisions.ts';
import {emptiable, hasLabel, isLabel} from './emptiable.ts';
import {emptyingCommands, pauseCommands} from './emptying-commands.io.ts';
import {incidentMarkdown, renderIncidents} from './incidents.ts';
import {moveCommands} from './move-commands.io.ts';
import {patchPolicy} from './policy-patch.ts';
import {renderError, renderEvent, renderHost, renderHosts, renderHurt, renderUser, renderUsers, renderVerdicts} from './render.ts';
import {renderStoredPlan, renderWhatIf} from './render-what-if.ts';
import {renderStatus} from './status.ts';
import {tuneCommand} from './tune-command.io.ts';
import {renderWhy} from './why.ts';

/** The operator's commands. Each prints a table, or with --json what the API answered. */
export function operatorCommands(): Command[] {
  return [...readCommands(), ...judgmentCommands(), ...hostCommands(), ...moveCommands(), ...farmCommands()].map(command => {
    for (const leaf of command.commands.length === 0 ? [command] : command.commands)
      leaf.option('--json', 'print the answer of the API as JSON');
    return command;
  });
}

function readCommands(): Command[] {
  return [
    new Command('status')
      .description('the farm on one page: what is wrong and since when, who is hurt, what is done, what waits for whom')
      .addHelpText('after', example('mailherd status', "mailherd status --json | jq '.farm.incident'"))
      .action(async (options: Common) => {
        const status = {farm: await get<FarmView>('/v1/farm'), verdicts: await get<VerdictsView>('/v1/verdicts')};
        show(options, status, renderStatus);
      }),
    new Command('hosts')
      .argument('[label=value...]', 'those with these labels')
      .option('--ill', 'only those that are not well, not in service, or cordoned')
      .description('all hosts, the sick ones first: stage, verdict, users, moves')
      .addHelpText('after', example('mailherd hosts --ill', 'mailherd hosts rack=r7', "mailherd hosts --json | jq -r '.[].record.host'"))
      .action(async (wished: string[], {ill, ...options}: Common & {ill?: true}) => {
        const hosts = (await get<HostView[]>('/v1/hosts')).filter(({record}) => wished.every(label => hasLabel(record.labels, label)));
        show(options, hosts, (views, as) => renderHosts(views, ill === true, as));
      }),
    new Command('host')
      .argument('<name>')
      .description('one host: verdict with evidence, queue, history')
      .addHelpText('after', example('mailherd host be07'))
      .action(async (name: string, options: Common) => show(options, await get<HostView>(`/v1/hosts/${part(name)}`), renderHost)),
    new Command('users')
      .description('users and where they live')
      .option('--host <name>', 'only those of one host')
      .option('--after <user>', 'begin behind this one')
      .option('--limit <count>', 'at most this many', count)
      .addHelpText('after', example('mailherd users --host be07', 'mailherd users --after m@example.org --limit 100'))
      .action(async ({json, ...filter}: Common & Record<string, string>) => {
        const query = new URLSearchParams(filter).toString();
        show({...(json && {json})}, await get<UsersView>(`/v1/users${query === '' ? '' : `?${query}`}`), renderUsers);
      }),
    new Command('user')
      .argument('<name>')
      .description('where one user lives')
      .addHelpText('after', example('mailherd user ada@example.org'))
      .action(async (name: string, options: Common) => show(options, await get<UserView>(`/v1/users/${part(name)}`), renderUser)),
  ];
}

/** What is judged and decided, and what came of it. */
function judgmentCommands(): Command[] {
  return [
    new Command('verdicts')
      .description('who is hurt, which hosts are sick, and what they share')
      .option('--all', 'hosts that are healthy, too')
      .addHelpText('after', example('mailherd verdicts'))
      .action(async ({all, ...options}: Common & All) =>
        show(options, await get<VerdictsView>('/v1/verdicts'), (view, as) => renderVerdicts(view, all === true, as)),
      ),
    new Command('why')
      .argument('<host|label=value>')
      .description('why a host or a cohort is judged as it is: the evidence')
      .addHelpText('after', example('mailherd why be07', 'mailherd why os=debian-13'))
      .action(async (name: string, options: Common) => {
        show(options, await get<VerdictsView>('/v1/verdicts'), (view, as) => {
          return renderWhy(name, view, as) ?? `Neither a host nor a cohort of sick hosts is named ${name}; mailherd verdicts lists them.`;
        });
      }),
    new Command('decisions')
      .description('what is decided now: what is carried out, what is stopped and by what, what waits for approval')
      .option('--all', 'every host by its name')
      .addHelpText('after', example('mailherd decisions'))
      .action(async ({all, ...options}: Common & All) =>
        show(options, await get<VerdictsView>('/v1/verdicts'), (view, as) => renderDecisions(view, all === true, as)),
      ),
    new Command('incidents')
      .argument('[id]')
      .description('times of trouble; with an id its report as Markdown')
      .addHelpText('after', example('mailherd incidents', 'mailherd incidents 4711 > incident.md'))
      .action(showIncidents),
    new Command('hurt')
      .description('share of customers hurt over time')
      .option('--all', 'from the beginning')
      .addHelpText('after', example('mailherd hurt'))
      .action(async ({all, ...options}: Common & All) =>
        show(options, await get<HurtView>('/v1/hurt'), view => renderHurt(view.history, all === true)),
      ),
    new Command('events')
      .description('events as they happen, one a line')
      .option('--since <sequence>', 'replay what came after this one; 0 = all that is kept', count)
      .option('--type <type...>', 'only of these types (docs/EVENTS.md)')
      .option('--host <name...>', 'only of these hosts; farm = of the whole farm')
      .addHelpText(
        'after',
        example(
          'mailherd events --type verdictChanged hostStaged',
          'mailherd events --since 0 --json | jq \'select(.event.type == "hostStaged")\'',
        ),
      )
      .action(followEvents),
  ];
}

interface PlanWish {
  stored?: string;
  without?: string[];
  add?: number;
  growth?: number;
  survive?: string;
  why?: true;
}

function hostCommands(): Command[] {
  const reason = '--reason <text>';
  return [
    ...emptyingCommands(),
    approveCommand(),
    planCommand(),
    new Command('cordon')
      .argument('<host>')
      .description('give a host no new mailbox')
      .option(reason, 'for the audit log')
      .addHelpText('after', example('mailherd cordon be07 --reason "memory test tonight"'))
      .action((host: string, options: Common & {reason?: string}) => changeHost(host, 'cordon', options)),
    new Command('uncordon')
      .argument('<host>')
      .description('use a host again; also keeps one that is being emptied')
      .option(reason, 'for the audit log')
      .addHelpText('after', example('mailherd uncordon be07'))
      .action((host: string, options: Common & {reason?: string}) => changeHost(host, 'uncordon', options)),
    new Command('retire')
      .argument('<host>')
      .option(reason, 'for the audit log')
      .description('a host that is empty and shut down is gone for good; mailherd uncordon takes it back')
      .addHelpText('after', example('mailherd retire be07 --reason "replaced by be31"'))
      .action((host: string, options: Common & {reason?: string}) => changeHost(host, 'retire', options)),
    new Command('reinstall')
      .argument('<host>')
      .requiredOption('--release <name>', 'value of the label os to install')
      .option(reason, 'for the audit log')
      .description('reinstall an emptied host as soon as it is proved safe to wipe')
      .addHelpText('after', example('mailherd reinstall be07 --release debian-12'))
      .action((host: string, options: Common & {reason?: string; release: string}) => changeHost(host, 'reinstall', options)),
    new Command('add-host')
      .argument('<name>')
      .argument('<address>')
      .option('--role <role>', 'backend or edge', 'backend')
      .description('register a host that has arrived')
      .addHelpText('after', example('mailherd add-host be08 10.0.0.18'))
      .action(async (host: string, address: string, {role, ...options}: Common & {role: string}) => {
        show(
          options,
          await post<HostRecord>('/v1/hosts', {host, address, role}),
          record => `${record.host} is registered: ${record.stage}.`,
        );
      }),
    addUserCommand(),
  ];
}

function addUserCommand(): Command {
  return new Command('add-user')
    .argument('<user>')
    .argument('[host]', 'that has the mailbox; without it a host for a new one is chosen')
    .description('have a mailbox routed and seen to from now on')
    .addHelpText('after', example('mailherd add-user ada@example.org be01'))
    .action(async (user: string, host: string | undefined, options: Common) => {
      const route = await post<Route>('/v1/users', {user, ...(host !== undefined && {host})});
      show(options, route, ({user: name, host: place}) => `${name} lives on ${place}.`);
    });
}

function approveCommand(): Command {
  return new Command('approve')
    .argument('<kind>', ACTION_KINDS.join(', '))
    .argument('[host|label=value...]', 'hosts for which it is proposed; none for what concerns the whole farm')
    .option('--reason <text>', 'for the audit log')
    .description('let what is only proposed be carried out (see mailherd decisions)')
    .addHelpText(
      'after',
      example('mailherd approve evacuate be07 be08', 'mailherd approve evacuate os=debian-13', 'mailherd approve rebalance'),
    )
    .action(async (kind: string, wished: string[], {json, ...wish}: Common & {reason?: string}) => {
      const hosts = wished.some(isLabel) ? await proposedFor(kind, wished) : wished;
      const {approved, refused} = await approveEach(kind, hosts, wish);
      if (approved.length > 0)
        show({...(json && {json})}, approved, list => list.map(each => `Approved: ${decisionWords({...each, mode: 'on'})}.`).join('\n'));
      const [first, ...more] = refused;
      for (const view of more) process.stderr.write(`${renderError(view)}\n`);
      if (first !== undefined) throw new Refused(first);
    });
}

/** One that is refused does not keep the others from being approved. */
async function approveEach(
  kind: string,
  hosts: readonly string[],
  wish: {reason?: string},
): Promise<{approved: Decision[]; refused: ErrorView[]}> {
  const [approved, refused]: [Decision[], ErrorView[]] = [[], []];
  for (const host of hosts.length === 0 ? [undefined] : hosts) {
    try {
      approved.push(await post<Decision>('/v1/decisions/approve', {kind, ...(host !== undefined && {host}), ...wish}));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused.push(error.view);
    }
  }
  return {approved, refused};
}

/** The hosts that are meant and for which this waits for approval. @throws MailherdError COHORT_UNKNOWN, DECISION_UNKNOWN. */
async function proposedFor(kind: string, wished: readonly string[]): Promise<string[]> {
  const meant = new Set(emptiable(wished, await get<HostView[]>('/v1/hosts')));
  const {decisions = []} = await get<VerdictsView>('/v1/verdicts');
  const hosts = decisions.flatMap(each => (each.kind === kind && isProposed(each) && each.host !== null ? [each.host] : []));
  const proposed = hosts.filter(host => meant.has(host));
  if (proposed.length === 0) throw new MailherdError('DECISION_UNKNOWN', {kind, hosts: wished});
  return proposed;
}

function planCommand(): Command {
  return new Command('plan')
    .argument('[host...]', 'hosts that would be emptied or gone')
    .description('what would happen if: whether everybody has a place, what lacks, how full hosts would be; when hardware must be ordered')
    .option('--without <label...>', 'hosts with these labels gone, as rack=7')
    .option('--add <count>', 'new hosts of the usual size', count)
    .option('--growth <percent>', 'mailboxes larger by this much', count)
    .option('--survive <label>', 'is there a place for everybody when any one host, rack or other label is lost')
    .option('--stored <plan>', 'no question, but a plan that was made: its id, or current')
    .option('--why', 'what it costs, and why mailboxes go where they go, and not elsewhere')
    .addHelpText(
      'after',
      example(
        'mailherd plan be07 be08 --why',
        'mailherd plan --without rack=7',
        'mailherd plan --growth 20 --add 2 --survive rack',
        'mailherd plan --stored current --why',
      ),
    )
    .action(async (evacuate: string[], {json, why, growth, stored, ...wish}: Common & PlanWish) => {
      if (stored !== undefined) {
        show({...(json && {json})}, await get<Plan>(`/v1/plans/${part(stored)}`), plan => renderStoredPlan(plan, why === true));
        return;
      }
      const asked = {...wish, evacuate, ...(growth !== undefined && {growth: growth / 100})};
      const isWhy = why === true;
      show({...(json && {json})}, await post<WhatIfView>('/v1/plans/what-if', asked), (view, as) => renderWhatIf(view, isWhy, as));
    });
}

function farmCommands(): Command[] {
  const policy = new Command('policy').description('what Mailherd may do by itself');
  policy
    .command('get')
    .description('show the policy')
    .addHelpText('after', example('mailherd policy get', 'mailherd policy get --json | jq .policy.modes'))
    .action(async (options: Common) => show(options, await get<PolicyView>('/v1/policy'), view => stringifyYaml(view.policy).trimEnd()));
  policy
    .command('set')
    .argument('<name=value...>')
    .description('change parts of the policy; values are JSON or text, none takes away what may be absent')
    .addHelpText(
      'after',
      example(
        'mailherd policy set modes.evacuate=on',
        'mailherd policy set move.concurrentMax=4 move.retainMs=86400000',
        'mailherd policy set move.bytesPerSecondMax=',
      ),
    )
    .action(async (settings: string[], options: Common) => {
      const view = await get<PolicyView>('/v1/policy');
      const changed = {...view, policy: patchPolicy(view.policy, settings)};
      show(
        options,
        await client().call<PolicyView>('PUT', '/v1/policy', changed),
        answer => `The policy is changed (revision ${answer.revision}).`,
      );
    });
  return [policy, tuneCommand(), ...pauseCommands()];
}

async function changeHost(host: string, verb: string, {json, ...wish}: Common & {reason?: string; release?: string}): Promise<void> {
  const record = await post<HostRecord>(`/v1/hosts/${part(host)}/${verb}`, wish);
  const cordon = ({cordon: now}: HostRecord): string => (now === null ? 'not cordoned' : `cordoned by ${now.by}`);
  show(
    {...(json && {json})},
    record,
    ({stage, reinstallTo}) =>
      `${host}: ${stage}, ${cordon(record)}${reinstallTo === null ? '' : `, to be reinstalled with ${reinstallTo}`}.`,
  );
}

async function followEvents({
  json,
  since,
  type: types,
  host: hosts,
}: Common & {since?: string; type?: string[]; host?: string[]}): Promise<void> {
  for await (const {sequence, data} of client().events(since ?? null)) {
    const event = JSON.parse(data) as FarmEvent;
    if (types?.includes(event.type) === false || hosts?.includes(event.host ?? 'farm') === false) continue;
    print(json ? JSON.stringify({sequence, event}) : renderEvent(sequence, event));
  }
}

async function showIncidents(id: string | undefined, options: Common): Promise<void> {
  if (id === undefined) return show(options, await get<IncidentsView>('/v1/incidents'), view => renderIncidents(view, Date.now()));
  show(options, await get<Incident>(`/v1/incidents/${part(id)}`), incidentMarkdown);
}
