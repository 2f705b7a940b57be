import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createGrantKeys } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { Assign, Finished } from '#common/gen/holdfast/v1/agent.ts';
import { startAgent } from '../../agent/agent.ts';
import { loadAgentConfig } from '../../agent/config.ts';
import { openJournal } from '../../agent/session/journal.ts';
import { stopInTime } from '../../agent/stop-in-time.ts';
import type { Vault } from '../../agent/vault/vault.ts';
import { certificateOf, grant, openTestVault } from '../vault/test-vault.ts';
import { CREATED, STARTED } from './flow.ts';
import { scriptedSource } from './scripted-source.ts';
import { startScriptedController } from './scripted-controller.ts';

let directory: string;
const log = pino({ level: 'silent' });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-agent-'));
  const { ca, cert, key } = await certificateOf('dn1');
  await writeFile(join(directory, 'ca.crt'), ca);
  await writeFile(join(directory, 'own.crt'), cert);
  await writeFile(join(directory, 'own.key'), key, { mode: 0o600 });
  await writeFile(join(directory, 'grant.pub'), createGrantKeys().publicPem);
  await mkdir(join(directory, 'slapd.d'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function writeConfig(controller: string, vaultPort?: number): Promise<string> {
  const path = join(directory, 'agent.yaml');
  const vault = { directory: 'vault', listen: { host: '127.0.0.1', port: vaultPort }, grantKey: 'grant.pub' };
  const config = {
    node: 'dn1',
    controller: { address: controller },
    tls: { ca: 'ca.crt', cert: 'own.crt', key: 'own.key' },
    stateDirectory: 'state',
    ...(vaultPort === undefined ? {} : { vault }),
    sources: {
      ldapServer: {
        configDirectory: join(directory, 'slapd.d'),
        url: 'ldap://127.0.0.1:1',
        start: ['true'],
        stop: ['true'],
        toolsDirectory: directory,
      },
    },
  };
  await writeFile(path, JSON.stringify(config));
  return path;
}

const start = async (vaultPort?: number) =>
  startAgent(await loadAgentConfig(await writeConfig('127.0.0.1:1', vaultPort)), systemClock, log);

describe('an agent', () => {
  test('does not start beside another one of the same state directory, and does after that one has ended', async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({ code: 'REFUSED', message: expect.stringContaining('another agent') as string });
    await first.stop();
    await (await start()).stop();
  });

  test('whose vault cannot be opened leaves nothing behind that would keep it from starting', async () => {
    const other = await start(0);
    const port = Number(new URL(other.vaultUrl ?? '').port);
    const config = await loadAgentConfig(await writeConfig('127.0.0.1:1', port));
    const second = { ...config, stateDirectory: join(directory, 'state2') };
    await expect(startAgent(second, systemClock, log)).rejects.toMatchObject({
      code: 'REFUSED',
      message: `listen on 127.0.0.1:${port}: another process has the port ${port}`,
      hint: expect.stringMatching(/sport = :\d+.*or set another port in vault\.listen of agent\.yaml/) as string,
    });
    await writeFile(join(directory, 'grant.pub'), 'no key');
    await expect(startAgent(second, systemClock, log)).rejects.toThrow(/grant\.pub/);
    await writeFile(join(directory, 'grant.pub'), createGrantKeys().publicPem);
    await other.stop();
    await (await startAgent(second, systemClock, log)).stop();
  });

  test('starts although a record of its journal is spoilt', async () => {
    await mkdir(join(directory, 'state', 'journal'), { recursive: true });
    await writeFile(join(directory, 'state', 'journal', 'a1.assign'), '{"assignmentId"');
    await (await start()).stop();
  });

  test('does not start with a key that others may read', async () => {
    await writeConfig('127.0.0.1:1');
    await execa('chmod', ['640', join(directory, 'own.key')]);
    await expect(start()).rejects.toMatchObject({ code: 'INVALID', hint: expect.stringContaining('chmod 600') as string });
  });

  test.each(['0', '65535', '1073741825'])('does not start with a transfer window of %s', async (transferWindow) => {
    const path = await writeConfig('127.0.0.1:1');
    const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...config, transferWindow }));
    await expect(loadAgentConfig(path)).rejects.toThrow('transferWindow: must be from 64 KiB to 1 GiB');
  });

  test.each(['64 KiB', '1 GiB'])('takes a transfer window of %s', async (transferWindow) => {
    const path = await writeConfig('127.0.0.1:1');
    const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...config, transferWindow }));
    expect((await loadAgentConfig(path)).transferWindow).toBe(transferWindow === '1 GiB' ? 2n ** 30n : 2n ** 16n);
  });
});

test('an agent whose vault has lost its disk is still there, and says so', async () => {
  await using controller = await startScriptedController();
  const agent = await startAgent(await loadAgentConfig(await writeConfig(controller.address, 0)), systemClock, log);
  expect((await controller.hear('hello')).value.vault?.space?.freeBytes).toBeGreaterThan(0n);
  await rm(join(directory, 'vault'), { recursive: true });
  await vi.waitFor(
    () => expect(controller.all('heartbeat').at(-1)?.value.vault).toEqual({ url: agent.vaultUrl, space: undefined }),
    {
      timeout: 10_000,
    },
  );
  await agent.stop();
});

test('an agent whose state directory cannot be asked for its space is still there, and tells the rest', async () => {
  await using controller = await startScriptedController();
  const agent = await startAgent(await loadAgentConfig(await writeConfig(controller.address)), systemClock, log);
  expect((await controller.hear('hello')).value.host?.spool?.freeBytes).toBeGreaterThan(0n);
  await rm(join(directory, 'state'), { recursive: true });
  const { host } = await vi.waitUntil(
    () => controller.all('heartbeat').find(({ value }) => value.host?.spool === undefined)?.value,
    {
      timeout: 10_000,
    },
  );
  expect(host?.hostname).not.toBe('');
  await agent.stop();
});

test('an agent whose vault hangs, disk and all, is still there, and says that it does not know its space', async () => {
  await using controller = await startScriptedController();
  const hung: Vault = { url: 'https://dn1:1', space: () => new Promise(() => undefined), stop: () => Promise.resolve() };
  const config = await loadAgentConfig(await writeConfig(controller.address));
  const agent = await startAgent(config, systemClock, log, { startVault: () => Promise.resolve(hung) });
  expect((await controller.hear('hello')).value.vault).toEqual({ url: hung.url, space: undefined });
  await controller.hear('heartbeat', 2);
  await agent.stop();
});

test('an agent whose untold ends together are larger than a message still gets to its controller, and tells each', async () => {
  const journal = await openJournal(join(directory, 'state', 'journal'), log);
  const manifests = Array.from({ length: 100 }, () => ({ content: Buffer.alloc(20_000), fault: '' }));
  const outcome = { $case: 'inventory' as const, value: { manifests, next: '' } };
  const ids = ['i1', 'i2', 'i3'];
  for (const assignmentId of ids) await journal.finish(Finished.fromPartial({ assignmentId, outcome }));
  await using controller = await startScriptedController();
  const agent = await startAgent(await loadAgentConfig(await writeConfig(controller.address)), systemClock, log);
  const { value: hello } = await controller.hear('hello');
  // Not to be given out again meanwhile: each is known to be ended, or to be this agent's.
  expect(new Set([...hello.running, ...hello.finished.map(({ assignmentId }) => assignmentId)])).toEqual(new Set(ids));
  await controller.hear('finished', ids.length);
  await agent.stop();
  expect(controller.ends().map(({ assignmentId }) => assignmentId)).toEqual(ids);
});

describe('the process of an agent', () => {
  const PREFIX = 'default_20260101000000/LdapServer_20260102000000/';
  const backup = (url: string, token: string): Assign =>
    Assign.fromPartial({
      assignmentId: 'b1',
      runId: 'r1',
      attempt: 1,
      work: {
        $case: 'backup',
        value: {
          task: 'default',
          taskCreatedMs: BigInt(CREATED),
          runStartedMs: BigInt(STARTED),
          setId: 's1',
          setSources: ['LdapServer'],
          source: { kind: { $case: 'ldapServer', value: {} } },
          vaults: [{ node: 'mn1', url, grant: token, active: true }],
          productVersion: '0.1.0',
        },
      },
    });

  async function spawnAgent(address: string) {
    const options = { env: { HOLDFAST_LOG: 'trace' }, reject: false } as const;
    return { child: execa(process.execPath, ['agent/main.ts', '--config', await writeConfig(address)], options) };
  }

  /** An agent in the middle of a backup, whose tool hangs. */
  async function inMidBackup(controller: Awaited<ReturnType<typeof startScriptedController>>, url: string, token: string) {
    await writeFile(
      join(directory, 'slapd'),
      `#!/bin/sh\necho $$ > ${directory}/tool.part\nmv ${directory}/tool.part ${directory}/tool\nexec sleep 600\n`,
      { mode: 0o700 },
    );
    const { child } = await spawnAgent(controller.address);
    await controller.hear('heartbeat');
    controller.assign(backup(url, token));
    const pid = await vi.waitFor(() => readFile(join(directory, 'tool'), 'utf8'), { timeout: 20_000 });
    return { child, pid: pid.trim() };
  }

  async function isGone(pid: string): Promise<void> {
    await vi.waitFor(async () => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ' Z ');
      expect(stat).toContain(' Z ');
    });
  }

  test('ends cleanly on SIGTERM in the middle of a backup, tells it, and has logged no secret', async () => {
    await using controller = await startScriptedController();
    await using vault = await openTestVault();
    const token = grant({ prefixes: [PREFIX] });
    const { child, pid } = await inMidBackup(controller, vault.url, token);
    child.kill('SIGTERM');
    const { exitCode, stdout, stderr } = await child;
    expect(exitCode).toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain('agent stopped');
    for (const part of token.split('.')) expect(stderr).not.toContain(part);
    expect(stderr).not.toContain('PRIVATE KEY');
    expect(controller.ends()).toMatchObject([
      { outcome: { $case: 'stopped', value: { message: expect.stringMatching(/^the agent is shutting down/) as string } } },
    ]);
    await isGone(pid);
  });

  test('that is killed takes its tools with it, and tells after its start what was cut off', async () => {
    await using controller = await startScriptedController();
    await using vault = await openTestVault();
    const { child, pid } = await inMidBackup(controller, vault.url, grant({ prefixes: [PREFIX] }));
    child.kill('SIGKILL');
    await child;
    await isGone(pid);
    const { child: restarted } = await spawnAgent(controller.address);
    const { value } = await controller.hear('finished');
    expect(value.outcome).toMatchObject({
      $case: 'failed',
      value: { message: expect.stringContaining('died in mid-run') as string },
    });
    const hello = controller.all('hello').at(-1)?.value;
    expect([...(hello?.running ?? []), ...(hello?.finished ?? []).map(({ assignmentId }) => assignmentId)]).toContain('b1');
    restarted.kill('SIGTERM');
    expect((await restarted).exitCode).toBe(0);
  });

  test.each([
    [[], /error: required option '--config <file>' not specified\nnext: ./],
    [['--config', 'x', '--bogus'], /error: unknown option '--bogus'\nnext: ./],
    [['--config', 'x', 'more'], /error: too many arguments.*\nnext: ./],
    [['--config', '/nowhere/agent.yaml'], /error: read the configuration \/nowhere\/agent\.yaml: .*\nnext: ./],
  ])('called with %j says what is wrong and what to do next', async (args, words) => {
    const { exitCode, stderr, stdout } = await execa(process.execPath, ['agent/main.ts', ...args], { reject: false });
    expect([exitCode, stdout]).toEqual([args[1]?.startsWith('/') === true ? 3 : 2, '']);
    expect(stderr).toMatch(words);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
  });

  test('called with --help explains itself and ends with 0', async () => {
    const { exitCode, stdout, stderr } = await execa(process.execPath, ['agent/main.ts', '--help'], { reject: false });
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('--config <file>');
  });

  test('says what is wrong with its configuration, with the next step, and exits with 2', async () => {
    await writeFile(join(directory, 'agent.yaml'), 'node: dn1\nnods: 1\n');
    const { exitCode, stderr } = await execa(process.execPath, ['agent/main.ts', '--config', join(directory, 'agent.yaml')], {
      reject: false,
    });
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/agent.yaml:2: nods: unknown field[^]*next: Correct every line/);
  });
});

test('a stop that hangs is given up, and one that ends is not waited for longer', async () => {
  const waits: number[] = [];
  const clock = { ...systemClock, sleep: (ms: number) => Promise.resolve(void waits.push(ms)) };
  expect(await stopInTime(() => new Promise(() => undefined), 60_000, clock)).toBe(false);
  expect(waits).toEqual([60_000]);
  expect(await stopInTime(() => Promise.resolve(), 60_000, systemClock)).toBe(true);
});

test('heartbeats keep coming while an agent packs', async () => {
  await using controller = await startScriptedController();
  await using vault = await openTestVault();
  const source = scriptedSource(directory, {});
  await source.write('');
  await writeFile(join(directory, 'live', 'data'), randomBytes(200 * 1024 * 1024));
  const config = await loadAgentConfig(await writeConfig(controller.address));
  const agent = await startAgent(config, systemClock, log, { sources: new Map([['OMS', source.source]]) });
  await controller.hear('heartbeat');
  const work = {
    source: { kind: { $case: 'oms' as const, value: {} } },
    vaults: [{ node: 'mn1', url: vault.url, grant: grant(), active: true }],
  };
  const names = { task: 'default', taskCreatedMs: BigInt(CREATED), runStartedMs: BigInt(STARTED), productVersion: '0.1.0' };
  const value = { ...names, ...work, setId: 's1', setSources: ['OMS'] };
  controller.assign(Assign.fromPartial({ assignmentId: 'b1', runId: 'r1', attempt: 1, work: { $case: 'backup', value } }));
  const { value: finished } = await controller.hear('finished');
  await agent.stop();
  expect(finished.outcome?.$case).toBe('backup');
  const times = controller.all('heartbeat').map(({ value: beat }) => Number(beat.host?.clockMs));
  const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
  expect(Math.max(0, ...gaps)).toBeLessThan(5000);
  expect(controller.all('progress').length).toBeGreaterThan(0);
});
