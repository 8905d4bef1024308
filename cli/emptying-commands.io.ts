import {Command} from 'commander';
import type {Evacuate, HostView, PlanView, PolicyView, ReliefView} from '../wire/api.ts';
import type {HostRecord} from '../wire/record.ts';
import {type All, type Common, example, get, part, post, show} from './ask.io.ts';
import {emptiable, isLabel} from './emptiable.ts';
import {renderPlan, renderRelief} from './render.ts';

const reason = '--reason <text>';

/** Commands by which hosts lose their mailboxes and their queue. */
export function emptyingCommands(): Command[] {
  return [
    new Command('evacuate')
      .argument('<host|label=value...>')
      .description('move every mailbox off hosts, all by one plan')
      .option('--dry-run', 'show the plan and change nothing')
      .option('--all', 'list every move')
      .option(reason, 'for the audit log')
      .addHelpText('after', example('mailherd evacuate os=debian-13 --dry-run', 'mailherd evacuate be07 be08 --reason "disks are failing"'))
      .action(async (wished: string[], {json, all, ...wish}: Common & All & {dryRun?: true; reason?: string}) => {
        show({...(json && {json})}, await evacuate(wished, wish), plan => renderPlan(plan, all === true));
      }),
    new Command('drain')
      .argument('<host|label=value...>')
      .description('empty hosts that work, for maintenance: no new mailbox, and moves when nothing else moves')
      .option('--dry-run', 'show the plan and change nothing')
      .option('--all', 'list every move')
      .option(reason, 'for the audit log')
      .addHelpText('after', example('mailherd drain be07 --reason "new memory on Friday"'))
      .action(async (wished: string[], {json, all, ...wish}: Common & All & {dryRun?: true; reason?: string}) => {
        show({...(json && {json})}, await evacuate(wished, {...wish, gently: true}), plan => renderPlan(plan, all === true));
      }),
    new Command('relieve')
      .argument('<host>')
      .description('let the queue of a host drain to where users live now, and by a relay of the policy (relief.relays)')
      .option('--end', 'no longer')
      .option(reason, 'for the audit log')
      .addHelpText('after', example('mailherd relieve be07', 'mailherd relieve be07 --end'))
      .action(async (host: string, {json, ...wish}: Common & {end?: true; reason?: string}) => {
        show({...(json && {json})}, await post<ReliefView>(`/v1/hosts/${part(host)}/relieve`, wish), view =>
          renderRelief(view, wish.end === true),
        );
      }),
  ];
}

/** Stop and go on: everything, or the evacuation of some hosts. */
export function pauseCommands(): Command[] {
  return [
    new Command('pause')
      .argument('[host|label=value...]', 'hosts that are being emptied: no further mailbox leaves them')
      .option('--reason <text>', 'for the audit log')
      .description('stop all automatic work, or the evacuation of some hosts')
      .addHelpText(
        'after',
        example('mailherd pause --reason "network maintenance"', 'mailherd pause be07 --reason "switch is being replaced"'),
      )
      .action(async (hosts: string[], {json, ...wish}: Common & {reason?: string}) => {
        if (hosts.length > 0) return changeEvacuations(hosts, 'pause', {...(json && {json}), ...wish});
        show(
          {...(json && {json})},
          await post<PolicyView>('/v1/pause', wish),
          () => 'Automatic work is paused. Go on with: mailherd resume',
        );
      }),
    new Command('resume')
      .argument('[host|label=value...]', 'hosts whose evacuation was paused')
      .description('go on with automatic work, or with the evacuation of some hosts')
      .addHelpText('after', example('mailherd resume', 'mailherd resume be07'))
      .action(async (hosts: string[], options: Common) => {
        if (hosts.length > 0) return changeEvacuations(hosts, 'resume', options);
        show(options, await post<PolicyView>('/v1/resume', {}), () => 'Automatic work goes on.');
      }),
  ];
}

async function evacuate(wished: readonly string[], wish: Evacuate): Promise<PlanView> {
  const [host = '', ...also] = wished.some(isLabel) ? emptiable(wished, await get<HostView[]>('/v1/hosts')) : wished;
  return post<PlanView>(`/v1/hosts/${part(host)}/evacuate`, {...wish, ...(also.length > 0 && {also})});
}

function isDraining({record}: HostView): boolean {
  return record.stage === 'draining';
}

/** Of each host in turn; the first that refuses ends it. */
export async function changeEvacuations(
  wished: readonly string[],
  verb: 'pause' | 'resume' | 'cancel',
  {json, ...wish}: Common & {reason?: string},
): Promise<void> {
  const hosts = wished.some(isLabel) ? emptiable(wished, (await get<HostView[]>('/v1/hosts')).filter(isDraining)) : wished;
  const said = {
    pause: 'no further mailbox leaves it until: mailherd resume',
    resume: 'its mailboxes leave it again',
    cancel: 'is kept',
  };
  for (const host of hosts) {
    const record = await post<HostRecord>(`/v1/hosts/${part(host)}/${verb}`, wish);
    show({...(json && {json})}, record, () => `${host}: ${said[verb]}${verb === 'pause' ? ` ${host}` : ''}.`);
  }
}
