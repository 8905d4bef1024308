import {expect, test} from 'vitest';
import {EdgePorts} from '../../../../coordinator/move/turn.ts';

test('what goes on of a move that was cancelled takes no port: nobody would give it back', () => {
  const ports = new EdgePorts();
  for (const step of ['reserving', 'seeding', 'copying', 'backingOut', 'backedOut'] as const) ports.now('cancelled', step);
  expect(ports.take('cancelled', 1)).toBe(false);
  ports.now('next', 'copying');
  expect(ports.take('next', 1)).toBe(true);
  ports.now('third', 'copying');
  expect(ports.take('third', 1)).toBe(false);
  ports.giveBack('next');
  expect(ports.take('third', 1)).toBe(true);
  ports.now('third', 'holding');
  expect(ports.take('next', 1)).toBe(false);
  ports.now('third', 'retaining');
  expect(ports.take('next', 1)).toBe(true);
});
