import type {QueueWalk} from '../../native/binding.ts';
import type {LogFigures, MailFigures} from '../../wire/mail-figures.ts';
import {DestinationSample} from './destinations.ts';
import {queueFiguresOf} from './queue-figures.ts';

/** What the mail system of one host says of itself, put together for a report. */
export class MailSource {
  readonly #destinations = new DestinationSample();

  /** @param walk of the queue, @param log figures of this interval; null: that source gave nothing. */
  figures(walk: QueueWalk | null, log: LogFigures | null): MailFigures {
    return {queue: walk === null ? null : this.#queue(walk), log};
  }

  #queue(walk: QueueWalk): MailFigures['queue'] {
    if (walk.complete && walk.active + walk.deferred === 0) this.#destinations.clear();
    this.#destinations.add(walk.domains);
    return queueFiguresOf(walk, null, this.#destinations.figures());
  }
}
