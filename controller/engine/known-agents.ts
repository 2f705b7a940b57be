/** Agents outlive the memory of a controller: who has ever said Hello is missed when it does not come back. */
import type { Hello } from '#common/gen/holdfast/v1/agent.ts';
import type { EngineIo } from './engine-io.ts';

/** What an agent says at its Hello is written; what it says at each heartbeat is not. */
export async function noteAgent(io: EngineIo, { node, sources, version, certificateEndsMs }: Hello): Promise<void> {
  const now = io.clock.now();
  await io.change(async (change) => {
    const before = await change.agent(node);
    await change.putAgent({
      node,
      sources,
      version,
      certificateEndsMs: certificateEndsMs === 0n ? undefined : Number(certificateEndsMs),
      firstSeenMs: before?.firstSeenMs ?? now,
      lastSeenMs: now,
    });
  });
}

/** Once, before anything is decided: the agents that may still come back are known, and are missed. */
export function recallAgents(io: EngineIo): () => Promise<void> {
  let done = false;
  return async () => {
    if (done) return;
    io.sessions.recall(await io.store.agents());
    done = true;
  };
}
