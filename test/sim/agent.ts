import type {HostPorts} from '../../agent/move/host-ports.ts';
import {serve, turnOf} from '../../agent/move/serve.ts';
import {isHoldOver, type RouteRow, rowOf} from '../../agent/route/apply.ts';
import type {SimHost} from './host.ts';
import type {RouteEntry, World} from './world.ts';

/** What a simulated host runs: the agent's real code, and the queries of its daemons. One object, so that parts can be replaced by wrong ones. */
export const AGENT = {
  serve,
  turnOf,
  rowOf,
  isHoldOver,
  /** What the view `backend` of routes.db says: may this host accept anything for the user? */
  mayServe: (host: SimHost, row: RouteRow): boolean => row.host === host.name && row.heldUntil <= host.wallSeconds(),
  /** A watch of the bucket tells all that was missed, in order. */
  hear: (world: World, host: SimHost, _entry: RouteEntry): void => world.catchUp(host),
  equip: (ports: HostPorts, _host: SimHost): HostPorts => ports,
};
