import {down} from '../farm/farm.io.ts';
import {type Benchmark, wholeNumber} from './benchmark.ts';
import {measureCopies, measureLarge} from './move/copy.io.ts';
import {begin, moveFarm} from './move/farm.io.ts';
import {measurePauses} from './move/pause.io.ts';

/** Each given name once: one of them for each format but maildir. */
const USERS_A_RUN = 12;

export const benchmark: Benchmark = {
  summary: 'copying a mailbox against plain doveadm backup and tar | tar; what a mail program feels of a move; on a farm of its own (root)',
  options: {
    messages: {type: 'string', default: '10000', help: 'messages of the mailbox for the main figures'},
    other: {type: 'string', default: '2000', help: 'messages for each other format and pair of releases'},
    // A target takes 256 MiB of a mailbox whose size the coordinator has not heard yet.
    long: {type: 'string', default: '200', help: 'messages of 1 MB of a further mailbox for the main figures; 0: none'},
    large: {
      type: 'string',
      default: '0',
      help: 'nothing but the move of one mailbox of so many messages, such as 100000; 0: everything else',
    },
    runs: {type: 'string', default: '3', help: 'mailboxes moved for each main figure; the median counts'},
    only: {type: 'string', default: '', help: 'copies only what has this in its name, such as "maildir 2.3 -> 2.3"'},
    moves: {type: 'string', default: '200', help: 'live moves whose pause a mail program measures; 0: none'},
    keep: {type: 'boolean', default: false, help: 'leave the farm up'},
  },
  async run(options, say) {
    const runs = wholeNumber(options.runs, 'runs', 1, 7);
    const moves = wholeNumber(options.moves, 'moves', 0, 10_000);
    const farm = moveFarm(say, USERS_A_RUN * Math.max(runs, 2));
    try {
      const access = await begin(farm);
      const large = wholeNumber(options.large, 'large', 0, 110_000);
      if (large > 0) return {largeMailbox: await measureLarge(farm, access, large)};
      const pauses = moves === 0 ? {} : await measurePauses(farm, access, moves);
      const copies = await measureCopies(farm, access, {
        messages: wholeNumber(options.messages, 'messages', 100, 100_000),
        otherMessages: wholeNumber(options.other, 'other', 100, 100_000),
        longMessages: wholeNumber(options.long, 'long', 0, 500),
        runs,
        only: String(options.only),
      });
      return {...copies, ...pauses};
    } finally {
      if (options.keep !== true) await down(farm);
    }
  },
};
