import type {NatsConnection} from '@nats-io/transport-node';

const reconnectCallbacks = new WeakMap<NatsConnection, Set<() => void>>();

/**
 * Calls back each time the connection is there again after an outage.
 * @returns a function that ends it.
 */
export function onReconnect(nc: NatsConnection, callback: () => void): () => void {
  const known = reconnectCallbacks.get(nc);
  const callbacks = known ?? new Set();
  callbacks.add(callback);
  if (known === undefined) {
    reconnectCallbacks.set(nc, callbacks);
    void (async () => {
      for await (const {type} of nc.status()) {
        if (type === 'reconnect') for (const each of callbacks) each();
      }
    })();
  }
  return () => callbacks.delete(callback);
}
