import {MailherdError} from '../../base/errors.ts';
import type {Farm} from '../farm.io.ts';
import {startFault, stopFaults} from '../fault/act.io.ts';
import type {FaultName} from '../fault/catalog.ts';
import type {Misfortune} from './cells.ts';
import {processesOfUnit, signal} from './processes.io.ts';
import {ensureRunning, type Service, unitOf} from './service.io.ts';

/** Whom a misfortune may befall. */
export interface Parties {
  source: string;
  target: string;
  edge: string;
  control: string;
}

interface Strike {
  begin: (farm: Farm, parties: Parties) => Promise<void>;
  end: (farm: Farm, parties: Parties) => Promise<void>;
}

type Party = keyof Parties;

/** kill -9 of every process of a unit at once; what systemd does not start again by itself is started at the end. */
function killed(service: Service, party: Party): Strike {
  return {
    begin: async (farm, parties) => {
      const unit = unitOf(farm.layout, parties[party], service);
      // It ends by itself when no move has asked it for a while.
      if (service === 'mailherd-mover') await ensureRunning(farm, parties[party], service);
      const pids = processesOfUnit(parties[party], unit);
      if (pids.length === 0) throw new MailherdError('HOST_STATE', {host: parties[party], unit, reason: 'it does not run'});
      signal(pids, 'SIGKILL');
    },
    end: (farm, parties) => ensureRunning(farm, parties[party], service),
  };
}

function faulty(name: FaultName, party: Party, value: Party | null = null): Strike {
  return {
    begin: ({paths, layout}, parties) => startFault(paths, layout, name, parties[party], value === null ? undefined : parties[value]),
    end: async ({paths, layout}, parties) => {
      await stopFaults(paths, layout, name, parties[party]);
    },
  };
}

export const STRIKES: Record<Misfortune, Strike> = {
  'kill-source-agent': killed('mailherd-agent', 'source'),
  'kill-target-agent': killed('mailherd-agent', 'target'),
  'kill-source-mover': killed('mailherd-mover', 'source'),
  'kill-target-mover': killed('mailherd-mover', 'target'),
  'kill-coordinator': killed('mailherd-coordinator', 'control'),
  'kill-nats': killed('nats-server', 'control'),
  'kill-source-dovecot': killed('dovecot', 'source'),
  'kill-target-dovecot': killed('dovecot', 'target'),
  'kill-source-postfix': killed('postfix', 'source'),
  'kill-target-postfix': killed('postfix', 'target'),
  'kill-edge-postfix': killed('postfix', 'edge'),
  'power-source': faulty('power-off', 'source'),
  'power-target': faulty('power-off', 'target'),
  'power-edge': faulty('power-off', 'edge'),
  'cut-source-target': faulty('cut', 'source', 'target'),
  'cut-source-nats': faulty('cut', 'source', 'control'),
  'cut-target-nats': faulty('cut', 'target', 'control'),
  'cut-edge-nats': faulty('cut', 'edge', 'control'),
  'full-target': faulty('disk-full', 'target'),
  'freeze-source': faulty('freeze-host', 'source'),
};
