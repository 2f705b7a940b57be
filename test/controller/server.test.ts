import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { service as healthService } from 'grpc-health-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { grpcChannelCredentials } from '#common/tls.ts';
import { loadControllerConfig } from '../../controller/config.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import { layCable } from '../model/cable.ts';
import { startCluster, taskSpec, until } from './cluster.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-server-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const GOOD = `listen: { host: 127.0.0.1, port: 0 }
tls: { ca: ca.crt, cert: own.crt, key: own.key }
stateDirectory: state
grantSigningKey: grant.key
managementNodes: { active: mn1, standby: mn2 }
`;

async function load(text: string) {
  const path = join(directory, 'controller.yaml');
  await writeFile(path, text);
  return loadControllerConfig(path);
}

describe('the configuration', () => {
  test('has the documented defaults, and paths beside the file', async () => {
    const config = await load(GOOD);
    expect(config).toMatchObject({
      stateDirectory: join(directory, 'state'),
      grantSigningKey: join(directory, 'grant.key'),
      lease: 30_000,
      minimumFree: 20_000_000_000n,
      defaultTask: { enabled: true, period: 86_400_000, copies: 2, sources: ['OMS', 'LdapServer', 'DBService', 'NameNode'] },
    });
  });

  test('tells every fault at once, each with its line', async () => {
    const text = `${GOOD.replace('port: 0', 'port: 99999').replace('standby: mn2', 'standby: mn1')}lease: soon
retention: 3
defaultTask: { period: 120s, copies: 0 }
deletionGrace: 999999999d
`;
    const error = await load(text).then(
      () => expect.unreachable('it was accepted'),
      (caught: unknown) => String(caught),
    );
    for (const fault of [
      /:1: listen\.port: /,
      /:5: managementNodes\.standby: active and standby must be two nodes/,
      /:6: lease: "soon" is not a duration/,
      /:7: retention: unknown field/,
      /:8: defaultTask\.period: must be more than limits.shortestGap \(120 s by default\)/,
      /:8: defaultTask\.copies: /,
      /:9: deletionGrace: "999999999d" is more than 100 years/,
    ]) {
      expect(error).toMatch(fault);
    }
  });

  test('with a tick of a quarter of the lease or more is refused', async () => {
    await expect(load(`${GOOD}lease: 20s\ntick: 5s\n`)).rejects.toThrow(/:7: tick: must be less than a quarter of the lease/);
    expect((await load(`${GOOD}lease: 20s\ntick: 4999ms\n`)).tick).toBe(4999);
  });
});

describe('the server', () => {
  test('says by the health service that it serves', async () => {
    await using cluster = await startCluster();
    const client = new Client(cluster.address(), grpcChannelCredentials(await cluster.files('operator', 'admin')));
    const { path, requestSerialize, responseDeserialize } = healthService['Check'] as NonNullable<(typeof healthService)[string]>;
    const answer = await new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service: '' }, (error, value) =>
        error === null ? resolve(value) : reject(error),
      );
    });
    expect(answer).toEqual({ status: 'SERVING' });
    client.close();
  });

  test('ends its watchers and agents when it stops, and keeps its history over a restart', async () => {
    await using cluster = await startCluster();
    const agent = await cluster.agent('dn1', { sources: ['OMS'] });
    await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly') });
    const { run } = await cluster.admin().runTask({ requestId: '', name: 'nightly' });
    const ended = new Promise<number>((resolve) => {
      const watching = cluster.client().watchRun({ id: run?.id ?? '' });
      watching.on('data', () => undefined);
      watching.on('error', (error: Error & { code: number }) => resolve(error.code));
      watching.on('end', () => resolve(0));
    });
    await cluster.stop();
    expect(await ended).toBe(status.UNAVAILABLE);
    await agent.ended;
    await cluster.start();
    const { runs } = await cluster.admin().listRuns({ task: '', pageSize: 0, pageToken: '' });
    expect(runs.map(({ id }) => id)).toEqual([run?.id]);
  });

  test('stops although a peer has vanished, and another has never said who it is', async () => {
    await using cluster = await startCluster();
    await using cable = await layCable(() => cluster.address());
    const far = new Client(cable.address, grpcChannelCredentials(await cluster.files('operator', 'admin')));
    await new Promise<void>((resolve, reject) => {
      far.waitForReady(Infinity, (error) => (error === undefined ? resolve() : reject(error)));
    });
    const [host, port] = cluster.address().split(':');
    const silent = connect(Number(port), host);
    await once(silent, 'connect');
    // Whoever has vanished answers nothing, not even that a connection ends.
    cable.set('stalled');
    await cluster.stop();
    silent.destroy();
    far.close();
  });

  test('as a process: starts from its file, ends with status 0 on SIGTERM, and leaves no secret open to others', async () => {
    await using cluster = await startCluster();
    const files = ['ca.crt', 'own.crt', 'own.key', 'grant.key'];
    for (const name of files) {
      await writeFile(join(directory, name), await readFile(join(cluster.directory, name)), { mode: 0o600 });
    }
    await writeFile(join(directory, 'controller.yaml'), GOOD);
    const child = execa(process.execPath, ['controller/main.ts', '--config', join(directory, 'controller.yaml')], {
      reject: false,
    });
    let said = '';
    child.stderr.on('data', (text: Buffer) => (said += text.toString()));
    await until(() => expect(said).toContain('controller started'));
    child.kill('SIGTERM');
    const { exitCode } = await child;
    expect(exitCode, said).toBe(0);
    expect(said).toContain('controller stopped');
    const store = await openSqliteStore(join(directory, 'state', 'catalogue.sqlite'));
    expect((await store.tasks()).map(({ name }) => name)).toEqual(['default']);
    await store.close();
  });

  test.each(['own.key', 'grant.key'])('with a %s that is no key ends with status 2, naming it', async (key) => {
    await using cluster = await startCluster();
    for (const name of ['ca.crt', 'own.crt', 'own.key', 'grant.key']) {
      const content = name === key ? 'no key' : await readFile(join(cluster.directory, name));
      await writeFile(join(directory, name), content, { mode: 0o600 });
    }
    await writeFile(join(directory, 'controller.yaml'), GOOD);
    const { exitCode, stderr } = await execa(
      process.execPath,
      ['controller/main.ts', '--config', join(directory, 'controller.yaml')],
      { reject: false },
    );
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(join(directory, key))]);
  });

  test.each([[[]], [['--config', 'x', '--bogus']]])(
    'called with %j ends with status 2 and says what to do next',
    async (args) => {
      const { exitCode, stderr } = await execa(process.execPath, ['controller/main.ts', ...args], { reject: false });
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/^error: (required|unknown) option '.*\nnext: ./);
    },
  );

  test('whose port another process has says which, and what to do', async () => {
    await using cluster = await startCluster();
    for (const name of ['ca.crt', 'own.crt', 'own.key', 'grant.key']) {
      await writeFile(join(directory, name), await readFile(join(cluster.directory, name)), { mode: 0o600 });
    }
    const other = createServer();
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const { port } = other.address() as AddressInfo;
    await writeFile(join(directory, 'controller.yaml'), GOOD.replace('port: 0', `port: ${port}`));
    const { exitCode, stderr } = await execa(
      process.execPath,
      ['controller/main.ts', '--config', join(directory, 'controller.yaml')],
      { reject: false },
    );
    other.close();
    expect(exitCode).toBe(4);
    expect(stderr).toContain(`error: listen on 127.0.0.1:${port}: another process has the port ${port}\n`);
    expect(stderr).toMatch(/next: Stop that process .*, or set another port in listen of controller\.yaml\./);
  });

  test('with a bad file ends with status 2 and starts nothing', async () => {
    await writeFile(join(directory, 'controller.yaml'), `${GOOD}nonsense: true\n`);
    const { exitCode, stderr } = await execa(
      process.execPath,
      ['controller/main.ts', '--config', join(directory, 'controller.yaml')],
      { reject: false },
    );
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/:6: nonsense: unknown field/);
    expect(stderr).toMatch(/next: ./);
  });
});
