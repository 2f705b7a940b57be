import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runTool } from '../../agent/tool.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-tool-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const never = new AbortController().signal;
const shell = (script: string) => ({ doing: 'try the tool', command: '/bin/sh', args: ['-c', script], signal: never });

/** A process that is gone, or a zombie that nobody has reaped yet, runs no longer. */
async function runs(pid: string): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !stat.includes(') Z ');
}

describe('a tool', () => {
  test('that is missing is named', async () => {
    await expect(runTool({ ...shell(''), command: '/nowhere/pg_dump' })).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringContaining('/nowhere/pg_dump is not installed') as string,
    });
  });

  test('that is to run in a directory that is not there is not called missing', async () => {
    await expect(runTool({ ...shell('true'), cwd: join(directory, 'gone') })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `try the tool: there is no directory ${join(directory, 'gone')} to run it in`,
    });
  });

  test('that cannot be started for want of setpriv names that', async () => {
    vi.stubEnv('PATH', directory);
    const run = runTool({ ...shell('true'), cwd: directory });
    await expect(run).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringContaining('setpriv is not installed') as string,
    });
    vi.unstubAllEnvs();
  });

  test('that fails is quoted', async () => {
    await expect(runTool(shell('echo "password authentication failed" >&2; exit 3'))).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringMatching(/try the tool: \/bin\/sh ended with 3: password authentication failed/) as string,
    });
  });

  test('that dies by a signal says so', async () => {
    await expect(runTool(shell('kill -9 $$'))).rejects.toThrow('was killed by SIGKILL');
  });

  test('that hangs is killed at the time-out, with its children', async () => {
    const script = `sleep 600 & echo $! > ${directory}/child; trap '' TERM; wait; sleep 600`;
    await expect(runTool({ ...shell(script), timeoutMs: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    const child = (await readFile(join(directory, 'child'), 'utf8')).trim();
    await vi.waitFor(async () => expect(await runs(child)).toBe(false));
  });

  test('that writes without end is killed, and what it wrote is not taken for its answer', async () => {
    await expect(runTool(shell('cat /dev/zero'))).rejects.toMatchObject({
      code: 'TOOL',
      message: expect.stringContaining('wrote more than') as string,
    });
  });

  test('that is stopped is killed, with its children', async () => {
    const stop = new AbortController();
    const run = runTool({ ...shell(`sleep 600 & echo $! > ${directory}/child; wait`), signal: stop.signal });
    const child = await vi.waitFor(async () => {
      const pid = (await readFile(join(directory, 'child'), 'utf8')).trim();
      expect(pid).not.toBe('');
      return pid;
    });
    stop.abort();
    await expect(run).rejects.toMatchObject({ code: 'STOPPED' });
    await vi.waitFor(async () => expect(await runs(child)).toBe(false));
  });

  test('dies with the agent that runs it', async () => {
    const agent = execa(process.execPath, [
      '--input-type=module',
      '-e',
      `import { runTool } from '${join(process.cwd(), 'agent/tool.ts')}';
       await runTool({ doing: 'x', command: '/bin/sh', args: ['-c', 'echo $$ > ${directory}/tool; exec sleep 600'], signal: new AbortController().signal });`,
    ]);
    const pid = await vi.waitFor(
      async () => {
        const text = (await readFile(join(directory, 'tool'), 'utf8')).trim();
        expect(text).not.toBe('');
        return text;
      },
      { timeout: 10_000 },
    );
    agent.kill('SIGKILL');
    await expect(agent).rejects.toThrow('SIGKILL');
    await vi.waitFor(async () => expect(await runs(pid)).toBe(false));
  });

  test('sees only the environment it is given', async () => {
    vi.stubEnv('HOLDFAST_UNRELATED', 'leaked');
    const { stdout } = await runTool({ ...shell('echo "$HOLDFAST_UNRELATED:$PGPASSWORD"'), env: { PGPASSWORD: 'pw' } });
    vi.unstubAllEnvs();
    expect(stdout).toBe(':pw\n');
  });
});
