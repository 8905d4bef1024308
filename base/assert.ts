/** A broken assertion is our bug, never the world's: it stops the process instead of going on with a false belief. */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed';
}

/**
 * Stops on a state that the code holds impossible. For refusals and failures of the world throw MailherdError instead.
 * @throws AssertionFailed when `condition` is false.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** Ends a switch over a discriminated union: a new variant then fails to compile. @throws AssertionFailed always. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable variant: ${JSON.stringify(value)}`);
}
