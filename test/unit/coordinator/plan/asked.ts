import type {Outlook} from '../../../../coordinator/plan/filter.ts';
import {whatIf as steps} from '../../../../coordinator/plan/what-if.ts';
import type {WhatIf, WhatIfView} from '../../../../wire/api.ts';

/** All its steps at once. */
export function whatIf(wish: WhatIf, outlook: Outlook): WhatIfView {
  return stepsOf(wish, outlook).view;
}

export function stepsOf(wish: WhatIf, outlook: Outlook): {view: WhatIfView; count: number} {
  const all = steps(wish, outlook);
  for (let count = 0; ; count++) {
    const step = all.next();
    if (step.done === true) return {view: step.value, count};
  }
}
