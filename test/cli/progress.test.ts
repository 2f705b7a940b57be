import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import { createProgress } from '../../controller/cli/progress.ts';
import { run } from './samples.ts';

function onTerminal(isTTY: boolean) {
  const err = Object.assign(new PassThrough(), { isTTY, columns: 120, rows: 40 });
  const view = createProgress({
    out: new PassThrough(),
    err,
    interactive: isTTY,
    env: {},
    clock: systemClock,
    signal: new AbortController().signal,
  });
  return { view, said: () => String(err.read() ?? '') };
}

const waiting = run(RunState.RUN_STATE_WAITING, { sources: [], queuePosition: 2 });

describe.each([
  ['on a terminal', true],
  ['through a pipe', false],
])('progress %s', (_where, isTTY) => {
  test('says at which place a run waits, once', () => {
    const { view, said } = onTerminal(isTTY);
    view.update(waiting);
    view.update(waiting);
    view.close();
    expect(said().match(/waiting, number 2 in the queue/g)).toHaveLength(1);
  });

  test('says bytes, percent and rate of each source', () => {
    const { view, said } = onTerminal(isTTY);
    view.update(run(RunState.RUN_STATE_RUNNING));
    view.close();
    expect(said()).toMatch(/OMS .*running: store 250 MB of 1 GB, 25 %, 50 MB\/s/);
  });
});

test('a terminal is shown a bar, a pipe is sent no control characters', () => {
  const [terminal, pipe] = [onTerminal(true), onTerminal(false)];
  for (const { view } of [terminal, pipe]) {
    view.update(run(RunState.RUN_STATE_RUNNING));
    view.close();
  }
  expect(terminal.said()).toContain('█████░░░');
  expect(pipe.said()).toMatch(/^[\n -~]+$/);
});
