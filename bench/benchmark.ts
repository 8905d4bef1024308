/** One benchmark: a file `bench/NAME.io.ts` exports one as `benchmark`. */
export interface Benchmark {
  /** What is measured against what, in one line. */
  summary: string;
  /** Its options as `node:util` parseArgs takes them, each with a line of help. */
  options: Record<string, {type: 'string' | 'boolean'; default?: string | boolean; help: string}>;
  /** Measures; figures by name, units in the names. `say` tells a human what goes on. @throws when it cannot be measured here. */
  run(options: Record<string, string | boolean | undefined>, say: (line: string) => void): Promise<Record<string, unknown>>;
}

/** Middle value (the lower one of two). NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** Four significant digits: more than a busy machine can tell. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** A whole number within bounds from an option. @throws RangeError */
export function wholeNumber(text: unknown, name: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`--${name} must be a whole number from ${min} to ${max}`);
  return value;
}
