/** A lab of its own for one test file: real services on ports that no other file uses, gone at the end. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

export interface Lab extends AsyncDisposable {
  readonly directory: string;
  readonly offset: number;
  run(...args: readonly string[]): Promise<string>;
  bin(name: string): string;
}

export async function startLab(offset: number, component: 'ldap' | 'hdfs' | 'ha'): Promise<Lab> {
  const directory = await mkdtemp(join(tmpdir(), `holdfast-lab-${component}-`));
  await chmod(directory, 0o755);
  const env = { HOLDFAST_LAB: directory, HOLDFAST_LAB_PORT_OFFSET: String(offset) };
  const run = async (...args: readonly string[]) =>
    (await execa(resolve('scripts/lab.sh'), args, { env, all: true, stdin: 'ignore' })).all;
  const lab: Lab = {
    directory,
    offset,
    run,
    bin: (name) => join(directory, 'bin', name),
    async [Symbol.asyncDispose]() {
      await run('down', component);
      await rm(directory, { recursive: true, force: true });
    },
  };
  await using unlessUp = new AsyncDisposableStack();
  unlessUp.use(lab);
  await run('up', component);
  if (component !== 'ha') await run('seed', component);
  unlessUp.move();
  return lab;
}
