import {Command} from 'commander';
import type {TuneView} from '../wire/tune.ts';
import {type Common, example, get, part, post, show} from './ask.io.ts';
import {renderTune} from './render-tune.ts';

/** `mailherd tune`: list, approve, revert. */
export function tuneCommand(): Command {
  const tune = new Command('tune').description('kernel values of the hosts: advice, what was changed, what came of it');
  tune
    .command('list', {isDefault: true})
    .argument('[host]')
    .description('show advice and changes')
    .addHelpText('after', example('mailherd tune', 'mailherd tune list be07', "mailherd tune list --json | jq '.hosts[].tune.values'"))
    .action(async (host: string | undefined, options: Common) => {
      show(options, await get<TuneView>('/v1/tune'), (view, as) => renderTune(view, host ?? null, as));
    });
  tune
    .command('approve')
    .argument('<host>')
    .argument('<advice>')
    .description('follow one advice, as tune list shows it; undone by itself when it harms or does not help')
    .addHelpText('after', example('mailherd tune approve be07 net.core.netdev_max_backlog=1250'))
    .action(async (host: string, advice: string, options: Common) => {
      show(options, await post(`/v1/hosts/${part(host)}/tune`, {advice}), () => `${host}: ${advice} is set, and is being judged.`);
    });
  tune
    .command('revert')
    .argument('<host>')
    .argument('<knob>')
    .description('give one changed value back')
    .addHelpText('after', example('mailherd tune revert be07 net.core.netdev_max_backlog'))
    .action(async (host: string, knob: string, options: Common) => {
      show(options, await post(`/v1/hosts/${part(host)}/untune`, {knob}), () => `${host}: ${knob} is as it was.`);
    });
  return tune;
}
