/**
 * A whole run of the task `default` on the quickstart's cluster, large: a 1 GB database, 100,000 directory entries, an image of 200,000
 * files. Against the sum of the plain tools doing the same, one after another.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { timed } from './case.ts';
import type { BenchCase, Contest } from './case.ts';

const PORT_OFFSET = '6000';

export const wholeCases: readonly BenchCase[] = [{ name: 'whole', unit: 's', goal: 1, setUp: contest }];

async function contest(directory: string): Promise<Contest> {
  const lab = join(directory, 'lab');
  const env = {
    HOLDFAST_LAB: lab,
    HOLDFAST_LAB_PORT_OFFSET: PORT_OFFSET,
    HOLDFAST_CONFIG: join(lab, 'cluster/admin/client.yaml'),
  };
  // Its output goes to a file: the daemons that it leaves up would keep a pipe open.
  const run = (script: string, ...args: readonly string[]) =>
    execa(resolve(script), args, { env, stdin: 'ignore', stdout: { file: join(directory, 'output') }, stderr: 'inherit' });
  await execa('chmod', ['755', directory]);
  await run('scripts/quickstart.sh', '--keep', '--large');
  await run('test/bench/plain-tools.sh', 'up');

  const agent = (await readFile(join(lab, 'cluster/run/dn1.pid'), 'utf8')).trim();
  let peak = 'unknown';
  return {
    async ours() {
      const seconds = await timed(() => run('scripts/holdfast', 'task', 'run', 'default', '--wait'));
      peak = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${agent}/status`, 'utf8'))?.[1] ?? peak;
      return seconds;
    },
    peer: () => timed(() => run('test/bench/plain-tools.sh', 'run')),
    notes: () => [`the agent's peak memory: ${(Number(peak) / 1024).toFixed(0)} MiB (goal: at most 256 MiB)`],
    async [Symbol.asyncDispose]() {
      await run('test/bench/plain-tools.sh', 'down');
      await run('scripts/quickstart.sh', '--down');
    },
  };
}
