import {Command} from 'commander';
import {simulate} from './run.ts';

/** `npm run sim -- --seeds 1000` or `--seed 17` to replay one. */
const program = new Command('sim')
  .description('moves mailboxes in a simulated farm where everything may die, and checks the invariants')
  .option('--seed <number>', 'replay one seed')
  .option('--seeds <number>', 'how many seeds', '200')
  .option('--first <number>', 'the first of them', '1')
  .option('--json', 'print {seeds, steps, violations, moves, flipped, backedOut} on the last line')
  .parse();
const options = program.opts<{seed?: string; seeds: string; first: string; json?: boolean}>();
const first = Number(options.seed ?? options.first);
const seeds = options.seed === undefined ? Number(options.seeds) : 1;
const total = {seeds, steps: 0, violations: 0, moves: 0, flipped: 0, backedOut: 0};
for (let seed = first; seed < first + seeds; seed++) {
  const result = await simulate(seed);
  total.steps += result.steps;
  total.violations += result.violations.length;
  total.moves += result.moves;
  total.flipped += result.flipped;
  total.backedOut += result.backedOut;
  for (const violation of result.violations) console.log(`seed ${seed}: ${violation}\n  replay: npm run sim -- --seed ${seed}`);
}
if (options.json === true) console.log(JSON.stringify(total));
else
  console.log(
    `${seeds} seeds, ${total.steps} steps, ${total.moves} moves (${total.flipped} done, ${total.backedOut} backed out), ${total.violations} violations`,
  );
process.exitCode = total.violations === 0 ? 0 : 1;
