/** Modification times to the nanosecond: Node takes them as doubles, which round to a quarter of a microsecond. */
import { runTool } from '../tool.ts';

/** Absolute paths as bytes in latin1 → nanoseconds since the epoch. Links themselves, not what they point to. */
export async function writeExactTimes(times: ReadonlyMap<string, bigint>, signal: AbortSignal): Promise<void> {
  if (times.size === 0) return;
  await runTool({
    doing: 'restore modification times',
    command: 'xargs',
    args: ['-0', '-n', '2', 'touch', '-h', '-m', '-d'],
    input: [...times].map(([path, ns]) => `@${ns / NS}.${String(ns % NS).padStart(9, '0')}\0${path}\0`).join(''),
    latin1: true,
    signal,
  });
}

const NS = 1_000_000_000n;
