/** Bytes to a vault: ours, durable, over mTLS, against a bare TLS socket that copies to a file. Receivers are processes of their own. */
import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tls from 'node:tls';
import { createAuthority, createGrantKeys, issueCertificate } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { signGrant } from '#common/grant.ts';
import { tlsOptions } from '#common/tls.ts';
import { openLocalDir } from '../../agent/targets/local-dir.ts';
import type { Digest } from '../../agent/targets/target.ts';
import { openVaultTarget } from '../../agent/targets/vault-target.ts';
import { timed } from './case.ts';
import type { BenchCase, Contest } from './case.ts';
import type { ReceiverOptions } from './receiver.ts';

const BYTES = 2 * 2 ** 30;
const PREFIX = 'bench_20260101000000/OMS_20260101000000/';
const WINDOW = 8 * 2 ** 20;
const never = new AbortController().signal;

export const bytePathCases: readonly BenchCase[] = [
  { name: 'byte-path', unit: 'MB/s', goal: 0.8, setUp: (directory) => contest(directory, ['mn1']) },
  // Two receivers share what one had: half of the bare figure is the measure.
  { name: 'byte-path-both', unit: 'MB/s', goal: 0.8, setUp: (directory) => contest(directory, ['mn1', 'mn2']) },
];

async function contest(directory: string, nodes: readonly string[]): Promise<Contest> {
  const now = systemClock.now();
  const authority = await createAuthority({ commonName: 'bench', days: 1, now });
  const certificate = (commonName: string) =>
    issueCertificate(authority, { commonName, role: 'agent', hosts: ['127.0.0.1'], days: 1, now });
  const grantKeys = createGrantKeys();
  const client = await certificate('dn1');
  const own = files(authority, client);
  const receivers: ChildProcess[] = [];

  async function start(kind: ReceiverOptions['kind'], node: string): Promise<string> {
    const path = join(directory, `${kind}-${node}`);
    await mkdir(path);
    const { certPem, keyPem } = await certificate(node);
    const options: ReceiverOptions = {
      kind,
      node,
      directory: path,
      ca: authority.certPem,
      cert: certPem,
      key: keyPem,
      grantKey: grantKeys.publicPem,
    };
    const child = fork(new URL('./receiver.ts', import.meta.url), { stdio: 'inherit' });
    receivers.push(child);
    child.send(options);
    const [url] = (await once(child, 'message')) as [string];
    return url;
  }

  const urls = await Promise.all(nodes.map((node) => start('vault', node)));
  const bare = await start('bare', 'bare');
  const grant = (vault: string) =>
    signGrant(
      {
        agent: 'dn1',
        vault,
        run: 'bench',
        attempt: 1,
        verbs: ['put', 'delete'],
        prefixes: [PREFIX],
        expiresMs: now + 86_400_000,
      },
      createPrivateKey(grantKeys.privatePem),
    );
  const vaults = await Promise.all(
    nodes.map(async (node, index) => ({
      node,
      active: index === 0,
      target: await openVaultTarget({
        node,
        url: urls[index] ?? '',
        grant: grant(node),
        tls: own,
        windowBytes: WINDOW,
        signal: never,
      }),
    })),
  );

  // In a backup the packing thread has hashed the archive; this path compares, and the vault hashes again.
  const known = Promise.resolve(await digestOf(incompressible()));
  return {
    async ours() {
      const seconds = await timed(() => openLocalDir(vaults).putAll(`${PREFIX}bytes`, incompressible(), never, known));
      for (const { target } of vaults) await target.delete(`${PREFIX}bytes`, never);
      return BYTES / 1e6 / seconds;
    },
    async peer() {
      const { hostname, port } = new URL(bare);
      const socket = tls.connect({ host: hostname, port: Number(port), ...tlsOptions(own) });
      const closed = once(socket, 'close');
      const seconds = await timed(async () => {
        const answered = once(socket, 'data');
        await pipeline(incompressible(), socket, { end: true });
        await answered;
      });
      await closed;
      return BYTES / 1e6 / seconds / nodes.length;
    },
    async [Symbol.asyncDispose]() {
      for (const { target } of vaults) await target[Symbol.asyncDispose]();
      for (const child of receivers) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
    },
  };
}

function files(authority: KeyAndCertificate, own: KeyAndCertificate) {
  return { ca: Buffer.from(authority.certPem), cert: Buffer.from(own.certPem), key: Buffer.from(own.keyPem) };
}

async function digestOf(bytes: Readable): Promise<Digest> {
  const hash = createHash('sha256');
  await pipeline(bytes, hash);
  return { size: BigInt(BYTES), sha256: hash.digest('hex') };
}

const POOL = randomBytes(64 * 2 ** 20);
const CHUNK = 256 * 1024;

function incompressible(): Readable {
  let sent = 0;
  return new Readable({
    highWaterMark: 4 * CHUNK,
    read() {
      if (sent >= BYTES) return void this.push(null);
      const at = sent % POOL.length;
      sent += CHUNK;
      this.push(POOL.subarray(at, at + CHUNK));
    },
  });
}
