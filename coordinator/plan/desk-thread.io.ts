import {parentPort, workerData} from 'node:worker_threads';
import {toRefusal} from '../../base/errors.ts';
import {searchPlan} from '../../native/binding.ts';
import {emptyFleet} from '../fleet.ts';
import {deskHere} from './desk.ts';
import type {Answer, Job, Lines, Question} from './desk-messages.ts';
import type {Outlook} from './filter.ts';

/** Entries of an answer that are told at once. */
const PART = 2_000;

const {answers} = workerData as Lines;
const fleet = emptyFleet();
const desk = deskHere(searchPlan);

parentPort?.on('message', (question: Question) => {
  switch (question.kind) {
    case 'hosts':
      for (const [name, host] of question.part) fleet.hosts.set(name, host);
      break;
    case 'routes':
      for (const [user, route] of question.part) fleet.routes.set(user, route);
      break;
    case 'mailboxes':
      for (const [user, facts] of question.part) fleet.mailboxes.set(user, facts);
      break;
    case 'moves':
      fleet.moves = fleet.moves.concat(question.part);
      break;
    case 'waiting':
      fleet.waiting = fleet.waiting.concat(question.part);
      break;
    case 'job':
      void work(question.job, {...question.outlook, fleet});
  }
});

/** Tells the answer, and then that all of it has been told. */
async function work(job: Job, outlook: Outlook): Promise<void> {
  try {
    if (job.kind === 'whatIf') tell({kind: 'whatIf', view: await desk.whatIf(job.wish, outlook)});
    else {
      const {moves, unplaced, ...plan} = await desk.plan(job.wish, outlook, job.ids, job.because);
      for (let at = 0; at < moves.length; at += PART) tell({kind: 'moves', part: moves.slice(at, at + PART)});
      for (let at = 0; at < unplaced.length; at += PART) tell({kind: 'unplaced', part: unplaced.slice(at, at + PART)});
      tell({kind: 'plan', plan: {...plan, moves: [], unplaced: []}});
    }
  } catch (error) {
    tell({kind: 'refused', refusal: toRefusal(error)});
  }
  parentPort?.postMessage('told');
}

function tell(answer: Answer): void {
  answers.postMessage(answer);
}
