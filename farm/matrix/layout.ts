import {type Layout, makeLayout} from '../layout.ts';

/** A small farm of its own, so that the matrix runs beside any other: two releases, and a pair of one release. */
export const MATRIX_LAYOUT: Layout = makeLayout('mhfarm6', '10.213.76', 3, [
  {name: 'fctl', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
  {name: 'fedge', role: 'edge', release: 'bookworm', last: 11, labels: {}, isSpare: false},
  {name: 'f12a', role: 'backend', release: 'bookworm', last: 21, labels: {}, isSpare: false},
  {name: 'f12b', role: 'backend', release: 'bookworm', last: 22, labels: {}, isSpare: false},
  {name: 'f13', role: 'backend', release: 'trixie', last: 23, labels: {}, isSpare: false},
]);
