import {Command} from 'commander';
import {MailherdError} from '../base/errors.ts';
import {look} from '../base/terminal.io.ts';
import {SECOND_MS} from '../base/units.ts';
import type {MovesView, PlanView} from '../wire/api.ts';
import {type All, type Common, example, get, part, post, print, show} from './ask.io.ts';
import {changeEvacuations} from './emptying-commands.io.ts';
import {areMovesOver, LISTED, renderMoves, renderPlan} from './render.ts';

/** Moves: watched, asked for, taken back, and what they leave behind. */
export function moveCommands(): Command[] {
  return [
    new Command('moves')
      .description('running and waiting moves')
      .option('--watch', 'until nothing is left to do')
      .option('--all', 'finished ones, and all that wait, too')
      .addHelpText('after', example('mailherd moves --watch'))
      .action(watchMoves),
    new Command('move')
      .argument('<user>')
      .option('--to <host>', 'target; chosen for you unless told; where the old copy is still kept, that is purged first')
      .description('move one mailbox, or bring it back')
      .addHelpText('after', example('mailherd move ada@example.org', 'mailherd move ada@example.org --to be02'))
      .action(async (user: string, {to, ...options}: Common & {to?: string}) => {
        show(options, await post<PlanView>('/v1/moves', {user, ...(to !== undefined && {target: to})}), plan => renderPlan(plan, true));
      }),
    new Command('cancel')
      .argument('[move]')
      .option('--evacuation <host|label=value...>', 'of hosts that are being emptied: they are kept, with whoever has not left them yet')
      .description('back out of a move that has not been switched over yet, or of an evacuation')
      .addHelpText('after', example('mailherd cancel move-4f2a', 'mailherd cancel --evacuation be07'))
      .action(async (id: string | undefined, {evacuation = [], ...options}: Common & {evacuation?: string[]}) => {
        if (evacuation.length > 0) return changeEvacuations(evacuation, 'cancel', options);
        if (id === undefined) throw new MailherdError('INPUT_INVALID', {path: '/id', reason: 'name a move, or --evacuation HOST'});
        show(options, await post(`/v1/moves/${part(id)}/cancel`, {}), () => `${id} backs out.`);
      }),
    new Command('reverse')
      .argument('<move...>')
      .description('bring mailboxes back to the hosts they left, with what came since, by the ids of their moves')
      .addHelpText('after', example('mailherd reverse move-4f2a', "mailherd reverse $(mailherd moves --json | jq -r '.moves[].id')"))
      .action(async (moves: string[], options: Common) =>
        show(options, await post<PlanView>('/v1/reverse', {moves}), plan => renderPlan(plan, false)),
      ),
    new Command('purge')
      .argument('<move...>')
      .description('remove retained source copies, by the ids of their moves')
      .addHelpText('after', example('mailherd purge move-4f2a move-9c01'))
      .action(async (moves: string[], options: Common) =>
        show(options, await post('/v1/purge', {moves}), () => `${moves.length} copies are being removed.`),
      ),
    new Command('rebalance')
      .argument('[host...]', 'hosts to fill: new ones, or back after a reinstall; all that need it unless told')
      .option('--dry-run', 'show the plan and change nothing')
      .option('--all', 'list every move')
      .description('even out the hosts')
      .addHelpText('after', example('mailherd rebalance --dry-run', 'mailherd rebalance be09 be10'))
      .action(async (hosts: string[], {json, all, ...wish}: Common & All & {dryRun?: true}) =>
        show({...(json && {json})}, await post<PlanView>('/v1/rebalance', {...wish, hosts}), plan => renderPlan(plan, all === true)),
      ),
  ];
}

const WATCH_MS = 2 * SECOND_MS;

async function watchMoves({json, watch, all}: Common & {watch?: true; all?: true}): Promise<void> {
  let before = '';
  for (;;) {
    const view = await get<MovesView>(json || all ? '/v1/moves' : `/v1/moves?waiting=${LISTED}`);
    const text = json ? JSON.stringify(view) : renderMoves(view, all ?? false, look());
    if (watch && process.stdout.isTTY && !json) print(`\u001b[H\u001b[J${text}`);
    else if (text !== before) print(text);
    before = text;
    if (!watch || areMovesOver(view)) return;
    await new Promise(resolve => setTimeout(resolve, WATCH_MS));
  }
}
