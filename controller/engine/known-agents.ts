/** Agents outlive the memory of a controller: who has ever said Hello is missed when it does not come back. */
import type { Hello } from '#common/gen/holdfast/v1/agent.ts';
import type { Change, EngineIo } from './engine-io.ts';

/** Resolves when the Hello is written. */
export type Register = (io: EngineIo, hello: Hello) => Promise<void>;

/**
 * What an agent says at its Hello is written; what it says at each heartbeat is not. Those that wait are written together: when the controller
 * has just started a thousand say Hello at once, and nothing else should wait for a thousand writes.
 */
export function createRegister(): Register {
  const unwritten = new Map<string, Hello>();
  return async (io, hello) => {
    unwritten.set(hello.node, hello);
    await io.change(async (change) => {
      const these = [...unwritten.values()];
      for (const each of these) await put(change, each, io.clock.now());
      change.after(() => {
        for (const each of these) if (unwritten.get(each.node) === each) unwritten.delete(each.node);
      });
    });
  };
}

async function put(change: Change, { node, sources, version, certificateEndsMs }: Hello, now: number): Promise<void> {
  await change.putAgent({
    node,
    sources,
    version,
    certificateEndsMs: certificateEndsMs === 0n ? undefined : Number(certificateEndsMs),
    firstSeenMs: (await change.agent(node))?.firstSeenMs ?? now,
    lastSeenMs: now,
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
