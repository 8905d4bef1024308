import {MailherdError} from '../../base/errors.ts';
import {output} from '../move/tool.io.ts';
import {parseMasterCf} from './services.ts';

/** What Postfix is set to, as far as figures are held against it. */
export interface PostfixSettings {
  /** qmgr_message_active_limit, messages. */
  activeMax: number;
  /** Processes by service, `smtp/inet`; null: no limit. */
  processLimits: ReadonlyMap<string, number | null>;
}

/** Two short programs: to be asked rarely. @throws MailherdError COMMAND_FAILED */
export async function readPostfixSettings(): Promise<PostfixSettings> {
  const [active, processes] = (await output(['postconf', '-h', 'qmgr_message_active_limit', 'default_process_limit']))
    .split('\n')
    .map(Number);
  if (!isCount(active) || !isCount(processes))
    throw new MailherdError('COMMAND_FAILED', {command: 'postconf', reason: 'its answer is no number'});
  return {activeMax: active, processLimits: parseMasterCf(await output(['postconf', '-M']), processes)};
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value > 0;
}
