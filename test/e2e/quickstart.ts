/** Runs the quickstart once, as a newcomer would, and leaves its cluster up for the tests of this folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { TestProject } from 'vitest/node';

/** Of its own, beside a lab that a developer may have up. */
const PORT_OFFSET = '3000';

declare module 'vitest' {
  interface ProvidedContext {
    lab: string;
    portOffset: string;
    /** What the quickstart printed. */
    output: string;
    exitCode: number;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const lab = await mkdtemp(join(tmpdir(), 'holdfast-e2e-'));
  const run = (flag: string) =>
    execa('scripts/quickstart.sh', [flag], {
      env: { HOLDFAST_LAB: lab, HOLDFAST_LAB_PORT_OFFSET: PORT_OFFSET },
      all: true,
      reject: false,
      stdin: 'ignore',
    });
  const { all, exitCode } = await run('--keep');
  project.provide('lab', lab);
  project.provide('portOffset', PORT_OFFSET);
  project.provide('output', all);
  project.provide('exitCode', exitCode ?? -1);

  return async () => {
    const down = await run('--down');
    await rm(lab, { recursive: true, force: true });
    if (down.exitCode !== 0) throw new Error(`the quickstart left something running:\n${down.all}`);
  };
}
