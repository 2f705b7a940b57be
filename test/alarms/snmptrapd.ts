/** A real SNMP manager: snmptrapd, of Debian's snmptrapd. It prints what it accepts, with the names of our MIB; what it does not, it drops. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const MIB_ENVIRONMENT = {
  // The IETF's own modules: Debian has them in non-free only; the npm package brings them.
  MIBDIRS: `${join(process.cwd(), 'docs/mib')}:${join(process.cwd(), 'node_modules/net-snmp/lib/mibs')}`,
  MIBS: '+HOLDFAST-MIB',
};

export interface SnmpManager extends AsyncDisposable {
  readonly port: number;
  /** One a notification: `name = value` by the MIB, separated by tabs. */
  readonly lines: readonly string[];
}

export interface ManagerOptions {
  readonly directory: string;
  /** Lines of snmptrapd.conf. */
  readonly configuration: readonly string[];
  readonly port?: number;
}

export async function startSnmptrapd({ directory, configuration, port = 0 }: ManagerOptions): Promise<SnmpManager> {
  const chosen = port === 0 ? await freeUdpPort() : port;
  const home = join(directory, `snmptrapd-${chosen}`);
  await mkdir(home, { recursive: true });
  const conf = join(home, 'snmptrapd.conf');
  await writeFile(conf, `${['doNotLogTraps no', ...configuration].join('\n')}\n`, { mode: 0o600 });
  const args = ['-f', '-C', '-c', conf, '-n', '-Lo', '-F', 'NOTICE %v\n', '-OQ', `udp:127.0.0.1:${chosen}`];
  const server = spawn('snmptrapd', args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...MIB_ENVIRONMENT, SNMP_PERSISTENT_DIR: join(home, 'state'), SNMPCONFPATH: home },
  });
  const gone = once(server, 'exit');
  const lines: string[] = [];
  const output = createInterface({ input: server.stdout });
  const started = Promise.withResolvers<void>();
  output.on('line', (line) => {
    if (line.startsWith('NOTICE ')) lines.push(line.slice('NOTICE '.length));
    else if (line.includes('NET-SNMP version')) started.resolve();
  });
  await Promise.race([started.promise, gone.then(() => Promise.reject(new Error('snmptrapd did not start')))]);
  return {
    port: chosen,
    lines,
    [Symbol.asyncDispose]: async () => {
      server.kill();
      await gone;
    },
  };
}

export async function freeUdpPort(): Promise<number> {
  const probe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
