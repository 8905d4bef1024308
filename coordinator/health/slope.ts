/** What load does to a figure: y falls by `b1 (x - x0) + b2 (x - x0)^2` from what it would be at the farm's middle load. */
export interface Slope {
  /** Decaying sums over pairs, each round's means taken out: of x x, x q, q q, x y, q y; q is the square of x. */
  xx: number;
  xq: number;
  qq: number;
  xy: number;
  qy: number;
}

export const NO_SLOPE: Slope = {xx: 0, xq: 0, qq: 0, xy: 0, qy: 0};

/** A round's pairs count half after so many rounds. */
const KEEP = 0.995;
/** As if so much had been seen of a figure on which load has no influence: steadies the first rounds. */
const RIDGE = 0.5;

/** Coefficients of x and x squared, least squares with a ridge. */
export function coefficients({xx, xq, qq, xy, qy}: Slope): [number, number] {
  const [a, d] = [xx + RIDGE, qq + RIDGE];
  const determinant = a * d - xq * xq;
  return [(xy * d - qy * xq) / determinant, (qy * a - xy * xq) / determinant];
}

/**
 * Takes one round's points in. Means of each group are taken out first, so that only differences between alike hosts of one round count:
 * neither what all of them feel at once nor that busy hosts are of another make is an influence of load.
 * @param weights by point; 0 takes a point out. @param groups by point, 0 to `weights.length - 1`.
 */
export function learn(slope: Slope, xs: Float64Array, ys: Float64Array, weights: Float64Array, groups: Int32Array): Slope {
  const [sums, meansX, meansQ, meansY] = [column(weights), column(weights), column(weights), column(weights)];
  for (let point = 0; point < weights.length; point++) {
    const weight = weights[point] ?? 0;
    if (weight === 0) continue;
    const x = xs[point] ?? 0;
    const group = groups[point] ?? 0;
    // A mean of what has come so far, moved by each point's share.
    const sum = (sums[group] ?? 0) + weight;
    const share = weight / sum;
    sums[group] = sum;
    meansX[group] = (meansX[group] ?? 0) + share * (x - (meansX[group] ?? 0));
    meansQ[group] = (meansQ[group] ?? 0) + share * (x * x - (meansQ[group] ?? 0));
    meansY[group] = (meansY[group] ?? 0) + share * ((ys[point] ?? 0) - (meansY[group] ?? 0));
  }
  if (!sums.some(sum => sum > 0)) return slope;
  let {xx, xq, qq, xy, qy} = {xx: slope.xx * KEEP, xq: slope.xq * KEEP, qq: slope.qq * KEEP, xy: slope.xy * KEEP, qy: slope.qy * KEEP};
  for (let point = 0; point < weights.length; point++) {
    const weight = weights[point] ?? 0;
    const group = groups[point] ?? 0;
    const own = xs[point] ?? 0;
    const x = own - (meansX[group] ?? 0);
    const q = own * own - (meansQ[group] ?? 0);
    const y = (ys[point] ?? 0) - (meansY[group] ?? 0);
    xx += weight * x * x;
    xq += weight * x * q;
    qq += weight * q * q;
    xy += weight * x * y;
    qy += weight * q * y;
  }
  return {xx, xq, qq, xy, qy};
}

function column({length}: Float64Array): Float64Array {
  return new Float64Array(length);
}
