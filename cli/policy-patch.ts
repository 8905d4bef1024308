import {MailherdError} from '../base/errors.ts';

/**
 * A copy of `policy` with dotted names set, e.g. `modes.evacuate=on` or `move.retainMs=60000`. Values are JSON, or text when they are not.
 * @throws MailherdError INPUT_INVALID for a name the policy does not have; the coordinator checks the values.
 */
export function patchPolicy<T extends object>(policy: T, settings: readonly string[]): T {
  const copy = structuredClone(policy);
  for (const setting of settings) {
    const [, name, text] = /^([\w.-]+)=(.*)$/s.exec(setting) ?? [];
    if (name === undefined || text === undefined) throw new MailherdError('INPUT_INVALID', {setting, reason: 'must be NAME=VALUE'});
    const path = name.split('.');
    const last = path.pop() ?? '';
    let place: unknown = copy;
    for (const part of path) place = isObject(place) && Object.hasOwn(place, part) ? place[part] : undefined;
    if (!isObject(place) || !Object.hasOwn(place, last))
      throw new MailherdError('INPUT_INVALID', {setting, reason: `the policy has no ${name}`});
    place[last] = readValue(text);
  }
  return copy;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
