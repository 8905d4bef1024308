import {describe, expect, it} from 'vitest';
import type {LedgerEntry} from '../../../../farm/mail/ledger.ts';
import {longestAwayMs} from '../../../../farm/matrix/away.ts';
import {cellName, MISFORTUNES, STEPS, selectCells} from '../../../../farm/matrix/cells.ts';
import {resentInLog} from '../../../../farm/matrix/resent.ts';
import {type CellResult, resultLine, resultsMarkdown, resultsTable} from '../../../../farm/matrix/results.ts';

describe('selection of cells', () => {
  it('is the whole matrix without a selection, each cell once', () => {
    const names = selectCells(null).map(cellName);
    expect(names).toHaveLength(STEPS.length * MISFORTUNES.length);
    expect(new Set(names).size).toBe(names.length);
  });

  it('takes a row, a column, a cell, and several of them', () => {
    expect(selectCells('holding/').map(({fault}) => fault)).toEqual([...MISFORTUNES]);
    expect(selectCells('*/kill-nats').map(({step}) => step)).toEqual([...STEPS]);
    expect(selectCells('purging/full-target, copying/kill-nats').map(cellName)).toEqual(['copying/kill-nats', 'purging/full-target']);
  });

  it('refuses a name that is none, and does not take it for all', () => {
    expect(() => selectCells('hold/kill-nats')).toThrow(/INPUT_INVALID/);
    expect(() => selectCells('holding/kill')).toThrow(/INPUT_INVALID/);
  });
});

describe('time without an answer', () => {
  const answer = (atMs: number, kind: 'login' | 'loginFailed' = 'login'): LedgerEntry =>
    kind === 'login' ? {kind, atMs, user: 'a', tookMs: 1} : {kind, atMs, user: 'a', tookMs: 1, reason: ''};

  it('is the longest gap that ended after the fault; refusals are no answers', () => {
    const entries = [answer(0), answer(900), answer(1_000), answer(1_200, 'loginFailed'), answer(1_400), answer(1_500)];
    expect(longestAwayMs(entries, 950)).toBe(400);
  });

  it('lasts to the end of the ledger when no answer comes any more', () => {
    expect(longestAwayMs([answer(0), answer(100), answer(30_000, 'loginFailed')], 500)).toBe(29_900);
  });

  it('is unknown without any answer', () => {
    expect(longestAwayMs([], 0)).toBeNull();
  });
});

describe('mail that Postfix sends again', () => {
  it('is what its log says may be sent more than once, and nothing else that was deferred', () => {
    const log = `A1: message-id=<one@x>
B2: message-id=<two@x>
A1: to=<a@b>, relay=r:24, dsn=4.4.2, status=deferred (lost connection with r while sending end of data -- message may be sent more than once)
B2: to=<a@b>, relay=none, dsn=4.4.1, status=deferred (connect to r:24: Connection refused)
C3: to=<a@b>, status=deferred (lost connection -- message may be sent more than once)
`;
    expect(resentInLog(log)).toEqual(['<one@x>']);
  });
});

describe('results', () => {
  const result: CellResult = {
    v: 1,
    cell: 'holding/kill-nats',
    atMs: 1,
    user: 'a@b',
    source: 's',
    target: 't',
    pair: '12->13',
    outcome: 'back',
    refusal: 'NATS_DOWN',
    endedAfterMs: 2_000,
    awayMs: 1_500,
    accepted: 3,
    appended: 2,
    flagged: 1,
    lost: 0,
    duplicated: 0,
    resent: 0,
    uidsChanged: 0,
    wrongFlags: 0,
    bounced: 0,
    violations: [],
  };
  const broken: CellResult = {...result, cell: 'copying/kill-nats', outcome: 'forward', awayMs: null, lost: 1, violations: ['lost 1']};

  it('tell a broken promise from a kept one', () => {
    expect(resultLine(result)).toBe('holding/kill-nats 12->13: back (NATS_DOWN), user away 1.5 s, ended after 2.0 s, ok');
    expect(resultLine(broken)).toContain('VIOLATED: lost 1');
    expect(resultsTable([result, broken])).toContain('lost 1');
  });

  it('are a matrix in Markdown, with what was not run left empty', () => {
    expect(resultsMarkdown([result, {...broken, cell: 'copying/kill-coordinator'}])).toBe(
      [
        '| fault | copying | holding |',
        '| --- | --- | --- |',
        '| kill-coordinator | **VIOLATED** forward - |  |',
        '| kill-nats |  | back 1.5 |',
        '',
      ].join('\n'),
    );
  });
});
