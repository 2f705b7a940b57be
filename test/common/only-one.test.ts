import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimDirectory } from '#common/only-one.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-claim-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a directory is claimed by one of a kind, and by the next when that one has let go', async () => {
  {
    await using _first = await claimDirectory(directory, 'agent');
    await using _other = await claimDirectory(directory, 'controller');
    await expect(claimDirectory(directory, 'agent')).rejects.toMatchObject({
      code: 'REFUSED',
      message: `another agent works in ${directory}`,
    });
  }
  await using _next = await claimDirectory(directory, 'agent');
});

test('what keeps a directory from being claimed, when it is nobody else, is told as it is', async () => {
  const script = `
    import { openSync } from 'node:fs';
    import { claimDirectory } from ${JSON.stringify(join(process.cwd(), 'common/only-one.ts'))};
    try { for (;;) openSync('/dev/null'); } catch {}
    await claimDirectory(${JSON.stringify(directory)}, 'agent').catch(({ message }) => console.log(message));`;
  await writeFile(join(directory, 'claim.mjs'), script);
  const { stdout } = await execa('prlimit', ['--nofile=100', process.execPath, join(directory, 'claim.mjs')]);
  expect(stdout).toMatch(/^claim .* for this agent: listen EMFILE/);
});
