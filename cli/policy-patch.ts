import {MailherdError} from '../base/errors.ts';
import {nameInPolicy} from '../wire/policy-names.ts';

/**
 * A copy of `policy` with dotted names set, e.g. `modes.evacuate=on` or `move.retainMs=60000`. Values are JSON, or text when they are not;
 * none takes away what the policy may go without: `move.bytesPerSecondMax=`.
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
    const {isKnown, isOptional} = nameInPolicy([...path, last]);
    if (!isObject(place) || !(Object.hasOwn(place, last) || isKnown))
      throw new MailherdError('INPUT_INVALID', {setting, reason: `the policy has no ${name}`});
    if (text === '' && isOptional) delete place[last];
    else place[last] = readValue(text);
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
