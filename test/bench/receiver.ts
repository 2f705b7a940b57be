/** The other side of the byte path, in a process of its own: a vault, or a bare TLS socket that copies to a file, durable at the end. */
import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import tls from 'node:tls';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { systemClock } from '#common/clock.ts';
import { tlsOptions } from '#common/tls.ts';
import { startVault } from '../../agent/vault/vault.ts';

export interface ReceiverOptions {
  readonly kind: 'vault' | 'bare';
  readonly node: string;
  readonly directory: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly grantKey: string;
}

const [options] = (await once(process, 'message')) as [ReceiverOptions];
const files = { ca: Buffer.from(options.ca), cert: Buffer.from(options.cert), key: Buffer.from(options.key) };
process.send?.(options.kind === 'vault' ? await vault() : await bare());
process.once('SIGTERM', () => process.exit(0));

async function vault(): Promise<string> {
  const { url } = await startVault({
    directory: options.directory,
    listen: { host: '127.0.0.1', port: 0 },
    tls: files,
    nodeName: options.node,
    grantPublicKey: createPublicKey(options.grantKey),
    limits: { capBytes: 10n ** 15n, minimumFreeBytes: 0n },
    windowBytes: 8 * 2 ** 20,
    clock: systemClock,
    log: pino({ level: 'silent' }),
  });
  return url;
}

async function bare(): Promise<string> {
  const path = join(options.directory, 'bytes');
  const copy = async (socket: TLSSocket) => {
    await pipeline(socket, createWriteStream(path, { highWaterMark: 4 * 2 ** 20 }), { end: true });
    {
      await using file = await open(path, 'r+');
      await file.sync();
    }
    socket.write('durable');
    // Not on the sender's time, as the deletion is not on that of ours; the end says that the disk is free again.
    await rm(path);
    socket.end();
  };
  const server = tls.createServer({ ...files, ...tlsOptions(files), allowHalfOpen: true } as tls.TlsOptions, (socket) => {
    copy(socket).catch((error: unknown) => socket.destroy(error instanceof Error ? error : undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `tls://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
