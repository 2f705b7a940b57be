/** A new file and its bytes. */
import { Readable } from 'node:stream';
import { toAppError } from '#common/errors.ts';
import type { DataNodes } from './data-nodes.ts';

export interface CreateOptions {
  readonly mode: number;
  /** Replace a file that is there; else ALREADY_EXISTS. */
  readonly overwrite: boolean;
  /** undefined: as the cluster has it. */
  readonly replication?: number | undefined;
  readonly blockSize?: bigint | undefined;
}

export async function createFile(
  dataNodes: DataNodes,
  path: string,
  bytes: Readable | Uint8Array,
  options: CreateOptions,
  signal: AbortSignal,
): Promise<void> {
  const doing = `write ${path}`;
  const parameters = {
    overwrite: options.overwrite,
    permission: options.mode.toString(8),
    ...(options.replication !== undefined && { replication: options.replication }),
    ...(options.blockSize !== undefined && { blocksize: options.blockSize }),
  };
  // Until it is read nobody else hears of its error; it is met again when it is read.
  if (bytes instanceof Readable) bytes.on('error', () => undefined);
  try {
    await dataNodes.send({ method: 'PUT', op: 'CREATE', path, parameters, doing }, bytes, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw toAppError(error, doing);
  } finally {
    if (bytes instanceof Readable) bytes.destroy();
  }
}
