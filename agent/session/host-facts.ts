/** Facts of this node for the controller: what an operator looks at first when a backup is slow or a node is in trouble. */
import { statfs } from 'node:fs/promises';
import { cpus, freemem, hostname, release, totalmem, uptime } from 'node:os';
import { currentLoad, osInfo } from 'systeminformation';
import type { Clock } from '#common/clock.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';
import type { Logger } from '#common/log.ts';
import { createFact } from './fact.ts';

/** Read once: it starts a process, which a heartbeat of a node under load must not wait for. */
let name: string | undefined;

async function osName(): Promise<string> {
  if (name === undefined) {
    const { distro, release: version } = await osInfo();
    name = `${distro} ${version}`;
  }
  return name;
}

/** `spool`: the directory whose partition takes the dumps. What cannot be known is left out. */
export function createHostFacts(clock: Clock, spool: string, log: Logger): () => Promise<HostFacts> {
  const readName = createFact('the name of the operating system', log, osName);
  const readLoad = createFact('the load of this node', log, currentLoad);
  const readRoom = createFact(`the space of ${spool}`, log, () => statfs(spool, { bigint: true }));
  return async () => {
    const [os, load, room] = await Promise.all([readName(), readLoad(), readRoom()]);
    return {
      hostname: hostname(),
      os: os ?? '',
      kernel: release(),
      cpus: cpus().length,
      memoryBytes: BigInt(totalmem()),
      freeMemoryBytes: BigInt(freemem()),
      loadPercent: Math.round((load?.currentLoad ?? 0) * 10) / 10,
      uptimeSeconds: BigInt(Math.floor(uptime())),
      clockMs: BigInt(clock.now()),
      bootId: clock.machine,
      spool: room && { totalBytes: room.bsize * room.blocks, freeBytes: room.bsize * room.bavail, usedByBackupsBytes: 0n },
    };
  };
}
