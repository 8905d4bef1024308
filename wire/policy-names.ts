import type Type from 'typebox';
import {Policy} from './policy.ts';

/** What a schema shows of itself. */
interface Shape {
  properties?: Record<string, Shape>;
  required?: string[];
  items?: Shape;
  anyOf?: Shape[];
}
const POLICY = Policy as Type.TSchema as Shape;

/** The one of its shapes that has names; null for values, and for lists of names that operators choose. */
function named(shape: Shape | undefined): Required<Pick<Shape, 'properties'>> & Shape {
  const own = [shape, ...(shape?.anyOf ?? [])].find(each => each?.properties !== undefined);
  return {...own, properties: own?.properties ?? {}};
}

/** Whether the policy has this name, and may go without it. @param path as `['move', 'bytesPerSecondMax']` */
export function nameInPolicy(path: readonly string[]): {isKnown: boolean; isOptional: boolean} {
  let shape: Shape | undefined = POLICY;
  let isOptional = false;
  for (const name of path) {
    const {properties, required = []} = named(shape);
    shape = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (shape === undefined) return {isKnown: false, isOptional: false};
    isOptional = !required.includes(name);
  }
  return {isKnown: true, isOptional};
}

/**
 * The first name in a policy that no release up to this one knows: a typo would be stored and do nothing. What stands in the present
 * policy may come from a newer release and is let be.
 * @returns a path as `/modes/evacute`, or null.
 */
export function strangeName(policy: unknown, present: unknown): string | null {
  return strange(policy, present, POLICY, '');
}

function strange(value: unknown, present: unknown, shape: Shape | undefined, path: string): string | null {
  if (Array.isArray(value)) return first(value.map((item, at) => strange(item, null, shape?.items, `${path}/${at}`)));
  if (!isObject(value)) return null;
  const {properties} = named(shape);
  if (Object.keys(properties).length === 0) return null;
  const known = isObject(present) ? present : {};
  return first(
    Object.entries(value).map(([name, item]) => {
      if (Object.hasOwn(properties, name)) return strange(item, known[name], properties[name], `${path}/${name}`);
      return Object.hasOwn(known, name) ? null : `${path}/${name}`;
    }),
  );
}

function first(found: readonly (string | null)[]): string | null {
  return found.find(path => path !== null) ?? null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
