/** Keys of the buckets that hold one thing. */
export const POLICY_KEY = 'policy';
export const CURRENT_PLAN_KEY = 'current';
