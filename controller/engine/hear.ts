/** What the words of agents mean for runs. State is compared at each Hello; events are never replayed. */
import type { Hello, LogReport, ProgressReport, Welcome } from '#common/gen/holdfast/v1/agent.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import type { SessionEvents } from '../sessions/sessions.ts';
import type { EngineIo } from './engine-io.ts';
import { createRegister } from './known-agents.ts';
import type { Register } from './known-agents.ts';
import { recordFinished } from './record-finished.ts';
import { givenOf, runningShares } from './tell-agents.ts';

export function createHearing(io: () => EngineIo): SessionEvents {
  const register = createRegister();
  return {
    hello: (hello) => compare(io(), register, hello),
    welcomed: () => io().hint(),
    finished: (node, finished) => recordFinished(io(), node, finished),
    progress: (node, report) => noteProgress(io(), node, report),
    log: (node, report) => noteLog(io(), node, report),
  };
}

/** What of the finished is recorded and can be forgotten; what of the running was given up. */
async function compare(io: EngineIo, register: Register, hello: Hello): Promise<Welcome> {
  await register(io, hello);
  for (const finished of hello.finished) await recordFinished(io, hello.node, finished);
  const own = (await io.store.openRuns()).flatMap(runningShares).filter(({ share }) => share.node === hello.node);
  // After a start of the controller: what an agent goes on with is listened to again.
  if (own.some(({ share }) => !io.given.has(share.assignmentId))) await listenAgain(io, hello.node);
  const wanted = new Set([...io.errands.ofNode(hello.node), ...own.map(({ share }) => share)].map((each) => each.assignmentId));
  return {
    controllerVersion: PRODUCT_VERSION,
    heartbeatSeconds: Math.max(1, Math.round(io.config.heartbeat / 1000)),
    cancel: hello.running.filter((id) => !wanted.has(id)),
    acknowledged: hello.finished.map(({ assignmentId }) => assignmentId),
  };
}

/** Within a change, and of the runs as they are then: a share that was given up meanwhile must not count as given for ever. */
async function listenAgain(io: EngineIo, node: string): Promise<void> {
  await io.change(async (change) => {
    for (const { run, share } of (await change.openRuns()).flatMap(runningShares)) {
      if (share.node !== node || io.given.has(share.assignmentId)) continue;
      const given = await givenOf(change, run, share);
      change.after(() => void io.given.set(share.assignmentId, given));
    }
  });
}

function noteProgress(io: EngineIo, node: string, { assignmentId, attempt, progress }: ProgressReport): void {
  const given = io.given.get(assignmentId);
  if (given === undefined || progress === undefined || given.node !== node || given.attempt !== attempt) return;
  io.board.set(assignmentId, expect(progress, given.expectedBytes, io.clock.now()));
  io.watchers.changed(given.runId);
}

/** An agent that reads a live source knows no total: then the last backup of it is the measure, for as long as it can be. */
function expect(progress: NonNullable<ProgressReport['progress']>, expected: bigint, now: number) {
  const { doneBytes, totalBytes, bytesPerSecond } = progress;
  if (totalBytes > 0n || expected === 0n || doneBytes > expected) return progress;
  const estimatedEndMs = bytesPerSecond > 0n ? BigInt(now) + ((expected - doneBytes) * 1000n) / bytesPerSecond : 0n;
  return { ...progress, totalBytes: expected, estimatedEndMs };
}

/** Of one source in one run. More is not read by anybody, and must fill neither the catalogue nor an answer. */
const MOST_LINES = 5000;
const LONGEST_LINE = 2000;

async function noteLog(io: EngineIo, node: string, { assignmentId, attempt, level, message, timeMs }: LogReport): Promise<void> {
  const given = io.given.get(assignmentId);
  if (given === undefined || given.node !== node || given.attempt !== attempt || given.lines >= MOST_LINES) return;
  const { runId, source } = given;
  given.lines += 1;
  const last = given.lines === MOST_LINES;
  const text = last ? `more lines than ${MOST_LINES}: see the log of the agent of ${node}` : message.slice(0, LONGEST_LINE);
  await io.change((change) => change.addLog({ runId, source, level, message: text, timeMs: Number(timeMs) }));
}
