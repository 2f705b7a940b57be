/** Facts of this node for the controller: what an operator looks at first when a backup is slow or a node is in trouble. */
import { cpus, freemem, hostname, release, totalmem, uptime } from 'node:os';
import { currentLoad, osInfo } from 'systeminformation';
import type { Clock } from '#common/clock.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';

export async function readHostFacts(clock: Clock): Promise<HostFacts> {
  const [os, load] = await Promise.all([osInfo(), currentLoad()]);
  return {
    hostname: hostname(),
    os: `${os.distro} ${os.release}`,
    kernel: release(),
    cpus: cpus().length,
    memoryBytes: BigInt(totalmem()),
    freeMemoryBytes: BigInt(freemem()),
    loadPercent: Math.round(load.currentLoad * 10) / 10,
    uptimeSeconds: BigInt(Math.floor(uptime())),
    clockMs: BigInt(clock.now()),
  };
}
