/** The quickstart beside another one: without HDFS, interrupted at the worst moment, and run again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

let own: string;
beforeAll(async () => {
  own = await mkdtemp(join(tmpdir(), 'holdfast-interrupted-'));
});
afterAll(async () => {
  await execa('scripts/quickstart.sh', ['--down'], { env: environment(), reject: false });
  await rm(own, { recursive: true, force: true });
});

const environment = () => ({ HOLDFAST_LAB: own, HOLDFAST_LAB_PORT_OFFSET: '4000' });
const OPTIONS = ['--without', 'hdfs'];

async function leftRunning(): Promise<string[]> {
  const { stdout } = await execa('ps', ['-eo', 'pid,args']);
  return stdout.split('\n').filter((line) => line.includes(own));
}

test('Ctrl-C in mid-restore leaves nothing running, and the next one begins anew and finds everything identical', async () => {
  // A process group of its own, as a terminal gives one: Ctrl-C reaches all of it.
  const first = spawn('scripts/quickstart.sh', OPTIONS, {
    env: { ...process.env, ...environment() },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [first.stdout, first.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  await vi.waitFor(() => expect(said).toMatch(/of the restore quickstart_restore[\s\S]*OMS +running/), { timeout: 90_000 });

  const second = await execa('scripts/quickstart.sh', OPTIONS, { env: environment(), reject: false, stdin: 'ignore' });
  expect(second.exitCode).toBe(4);
  expect(second.stderr).toMatch(/^error: another quickstart is at work in .*\nnext: /);

  process.kill(-(first.pid ?? 0), 'SIGINT');
  const [status] = await once(first, 'exit');
  expect(status, said).toBe(130);
  expect(await leftRunning()).toEqual([]);

  const again = await execa('scripts/quickstart.sh', OPTIONS, { env: environment(), reject: false, stdin: 'ignore', all: true });
  expect(again.exitCode, again.all).toBe(0);
  for (const source of ['OMS', 'LdapServer', 'DBService']) expect(again.all.split('\n')).toContain(`${source}: identical`);
  expect(again.all).not.toContain('NameNode: ');
  expect(await leftRunning()).toEqual([]);
}, 240_000);
