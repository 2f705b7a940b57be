/** The cluster that the quickstart left up: its command line, its API, its daemons. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { execa } from 'execa';
import { expect, inject, vi } from 'vitest';
import { AdminServiceClient, AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import type { BackupFileSet, Run } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';

export const lab = inject('lab');
export const directory = join(lab, 'cluster');
export const clientConfig = join(directory, 'admin', 'client.yaml');
export const address = `127.0.0.1:${25700 + Number(inject('portOffset'))}`;
export const environment = { HOLDFAST_LAB: lab, HOLDFAST_LAB_PORT_OFFSET: inject('portOffset'), HOLDFAST_CONFIG: clientConfig };
const program = resolve('scripts/holdfast');

export function holdfast(...args: readonly string[]) {
  return execa(program, args, { env: environment, reject: false, stdin: 'ignore', all: true });
}

export function script(name: 'lab.sh', ...args: readonly string[]) {
  return execa(resolve('scripts', name), args, { env: environment, all: true, stdin: 'ignore' });
}

export async function connectAdmin(): Promise<AdminServiceClient> {
  const at = (name: string) => readFile(join(directory, 'admin', name));
  return new AdminServiceClient(address, credentials.createSsl(await at('ca.crt'), await at('admin.key'), await at('admin.crt')));
}

interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** A call of the API as a promise. */
export function call<Request, Response>(
  client: AdminServiceClient,
  { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
  request: Request,
): Promise<Response> {
  return new Promise((done, failed) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, response) => {
      if (error !== null || response === undefined) failed(error ?? new Error(`${path} answered nothing`));
      else done(response);
    });
  });
}

const ENDED: readonly RunState[] = [RunState.RUN_STATE_SUCCESSFUL, RunState.RUN_STATE_FAILED, RunState.RUN_STATE_STOPPED];

export async function waitForEnd(client: AdminServiceClient, id: string): Promise<Run> {
  return vi.waitFor(
    async () => {
      const { run } = await call(client, Admin.getRun, { id });
      if (run === undefined || !ENDED.includes(run.state))
        throw new Error(`run ${id} has not ended: ${JSON.stringify(run?.state)}`);
      return run;
    },
    { timeout: 90_000, interval: 300 },
  );
}

export async function setsOf(client: AdminServiceClient, task: string): Promise<BackupFileSet[]> {
  return (await call(client, Admin.listSets, { task, pageSize: 0, pageToken: '' })).sets;
}

export async function pidOf(daemon: string): Promise<number> {
  return Number(await readFile(join(directory, 'run', `${daemon}.pid`), 'utf8'));
}

export const kill = (daemon: string) => end(daemon, 'SIGKILL');
export const stop = (daemon: string) => end(daemon, 'SIGTERM');

async function end(daemon: string, signal: NodeJS.Signals): Promise<void> {
  const pid = await pidOf(daemon);
  process.kill(pid, signal);
  await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(), { timeout: 15_000 });
}

export async function start(daemon: string): Promise<void> {
  const controller = daemon === 'controller';
  const config = controller ? join(directory, 'controller/controller.yaml') : join(directory, 'nodes', daemon, 'agent.yaml');
  const log = openSync(join(directory, 'run', `${daemon}.log`), 'a');
  const child = spawn(program, [controller ? 'controller' : 'agent', '--config', config], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  child.unref();
  closeSync(log);
  await writeFile(join(directory, 'run', `${daemon}.pid`), `${child.pid}\n`);
}

export async function waitForAgent(client: AdminServiceClient, node: string, connected: boolean): Promise<void> {
  await vi.waitFor(
    async () => {
      const { agent } = await call(client, Admin.getAgent, { node });
      expect(agent?.connected).toBe(connected);
    },
    { timeout: 60_000, interval: 300 },
  );
}

/** Every file below a vault's directory, relative to it. */
export async function filesOfVault(node: string): Promise<string[]> {
  const root = vaultDirectory(node);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((name) => !name.startsWith('.'))
    .toSorted();
}

export function vaultDirectory(node: string): string {
  return join(directory, 'data', node, 'LocalBackup');
}
