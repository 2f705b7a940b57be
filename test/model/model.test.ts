/**
 * Histories at random against a real controller, real agents, vaults in memory and services whose content is known: see actions.ts for what
 * may happen, rules.ts for what must be true all the time, rest.ts for what must be true in the end.
 *
 *   HOLDFAST_SEED=n    repeats the histories of a run from the seed that it printed (threads and sockets are real, so not to the last step);
 *                      `new`: histories that nobody has seen; when not given those of CI, which judges a change by the same ones as the last
 *   HOLDFAST_STEPS=n   goes on for so many actions; 2,000 when not given
 *   HOLDFAST_SHRINK=0  tells the first history that fails as it is
 *
 * Breaks that it was seen to catch, each in a scratch copy:
 *   retention    rules/retention.ts takes every set for whole: "a set goes by retention or by request"
 *   late words   engine/record-finished.ts ends a share that was given up once more: "a run ends once, and never begins again"
 *   queue        rules/admission.ts looks at those that wait from the newest on: "first come, first served"
 *   lock         api/tasks.ts locks without stopping what runs: "locking a task stops its run"
 *   leftovers    engine/end-run.ts leaves nothing to clear of a failed share: files that belong to nothing
 *   twice        engine/request-run.ts forgets that a restore has succeeded: "a restore that has succeeded is not executed again"
 */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { history } from './actions.ts';
import type { Step } from './actions.ts';
import { makeCertificates } from './certificates.ts';
import { live } from './live.ts';
import { NODES } from './world.ts';

const STEPS = Number(process.env['HOLDFAST_STEPS'] ?? 2000);
const SEED =
  process.env['HOLDFAST_SEED'] === 'new' ? systemClock.now() % 2 ** 31 : Number(process.env['HOLDFAST_SEED'] ?? 283152138);
/** Of one history. */
const MOST_STEPS = 50;
const LANES = 3;
/** A history ends within so long, and a counterexample is made smaller for so long. */
const SHRINKING_MS = 180_000;
const SHRINK = process.env['HOLDFAST_SHRINK'] !== '0';

const certificates = await makeCertificates(NODES);
afterAll(() => certificates[Symbol.asyncDispose]());

test(
  `nothing that is done to a Holdfast breaks a rule, in ${STEPS} steps`,
  async () => {
    console.log(`HOLDFAST_SEED=${SEED}`);
    const tally = new Map<string, number>();
    let done = 0;
    let failed = false;
    /** Several histories go on at once: most of one is waiting. */
    const lane = async (first: number, step: number) => {
      for (let seed = first; done < STEPS && !failed; seed += step) {
        const property = fc.asyncProperty(history(MOST_STEPS), async (steps) => {
          await live(steps, certificates, tally);
          done += steps.length;
        });
        const run = await fc.check(property, { seed, numRuns: 1, interruptAfterTimeLimit: SHRINKING_MS, endOnFailure: !SHRINK });
        failed ||= run.failed;
        report(run, seed);
      }
    };
    const lanes = STEPS < MOST_STEPS ? 1 : LANES;
    const ends = await Promise.allSettled(Array.from({ length: lanes }, (_each, index) => lane(SEED + index, lanes)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    console.log([...tally].map(([what, times]) => `${what} ${times}`).join(', '));
    expect(done).toBeGreaterThanOrEqual(STEPS);
  },
  STEPS * 1000 + 600_000,
);

function report(run: fc.RunDetails<[readonly Step[]]>, seed: number): void {
  if (!run.failed) return;
  const steps = (run.counterexample?.[0] ?? []).map((step) => `  ${JSON.stringify(step)}`);
  const error =
    run.errorInstance instanceof Error ? run.errorInstance.message : `it has not ended within ${SHRINKING_MS / 1000} s`;
  throw new Error(`HOLDFAST_SEED=${seed} HOLDFAST_STEPS=1, made smaller ${run.numShrinks} times:\n${steps.join('\n')}\n${error}`);
}
