/**
 * Does some work for each item, side by side for at most `atOnce` of them; none is begun after one has failed.
 * @returns what came of each, in the order of the items. @throws what the work throws.
 */
export async function fewAtOnce<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const left = items.entries();
  const results: R[] = [];
  let isFailed = false;
  const worker = async (): Promise<void> => {
    for (const [at, item] of left) {
      if (isFailed) return;
      results[at] = await work(item);
    }
  };
  const workers = Array.from({length: Math.min(atOnce, items.length)}, () =>
    worker().catch(error => {
      isFailed = true;
      throw error;
    }),
  );
  await Promise.all(workers);
  return results;
}
