/** The controller as its own process, started as a service starts it, and what the kernel says of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { createGrantKeys, issueCertificate } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
import { driverOf } from './controller-database.ts';
import type { Catalogue } from './controller-database.ts';

export interface RunningController extends AsyncDisposable {
  readonly address: string;
  readonly client: AdminServiceClient;
  /** Most that was ever resident, in MiB. */
  peakMemory(): Promise<number>;
  /** Seconds of CPU used so far, all threads together. */
  cpuSeconds(): Promise<number>;
}

/** Of the kernel's accounts, a second. */
const TICKS = 100;

/** With the settings that it has by default; `directory` is for its keys. */
export async function runController(
  directory: string,
  authority: KeyAndCertificate,
  catalogue: Catalogue,
): Promise<RunningController> {
  const certificate = (commonName: string, role: 'controller' | 'admin') =>
    issueCertificate(authority, { commonName, role, hosts: ['localhost'], days: 1, now: systemClock.now() });
  const own = await certificate('controller', 'controller');
  const admin = await certificate('operator', 'admin');
  const config = await writeConfig(directory, authority, own, catalogue);

  const child = spawn('scripts/holdfast', ['controller', '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  // Read to the end: a full pipe would hold it up.
  const lines = createInterface({ input: child.stderr });
  const address = await new Promise<string>((resolve, reject) => {
    let last = '';
    lines.on('line', (line) => {
      last = line;
      const started = /"address":"127.0.0.1(:\d+)".*"msg":"controller started"/.exec(line);
      if (started?.[1] !== undefined) resolve(`localhost${started[1]}`);
    });
    child.once('exit', () => reject(new Error(`the controller did not start: ${last}`)));
  });
  const client = new AdminServiceClient(
    address,
    grpcChannelCredentials({
      ca: Buffer.from(authority.certPem),
      cert: Buffer.from(admin.certPem),
      key: Buffer.from(admin.keyPem),
    }),
    { 'grpc.use_local_subchannel_pool': 1 },
  );
  return {
    address,
    client,
    async peakMemory() {
      const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1];
      return Number(kilobytes) / 1024;
    },
    async cpuSeconds() {
      const fields = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function writeConfig(directory: string, authority: KeyAndCertificate, own: KeyAndCertificate, catalogue: Catalogue) {
  const put = async (name: string, text: string) => {
    await writeFile(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const settings = {
    listen: { host: '127.0.0.1', port: 0 },
    tls: {
      ca: await put('ca.crt', authority.certPem),
      cert: await put('own.crt', own.certPem),
      key: await put('own.key', own.keyPem),
    },
    grantSigningKey: await put('grant.key', createGrantKeys().privatePem),
    managementNodes: { active: 'mn1', standby: 'mn2' },
    defaultTask: { enabled: false },
    stateDirectory: directory,
    ...driverOf(catalogue.kind).settings(catalogue.at),
  };
  return put('controller.yaml', stringify(settings));
}
