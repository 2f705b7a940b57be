/** The connection to one controller. */
import { Client, connectivityState } from '@grpc/grpc-js';
import { AppError } from '#common/errors.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';
import type { Terminal } from './terminal.ts';

/** The controller itself was not reached: one that was may say UNAVAILABLE of an agent. */
export function unreachable(address: string, why: string, hint: string, cause?: unknown): AppError {
  return new AppError('UNAVAILABLE', `reach the controller ${address}: ${why}`, { cause, hint, details: { unreachable: true } });
}

export function isUnreachable({ details }: AppError): boolean {
  return details['unreachable'] === true;
}

export interface Line {
  readonly address: string;
  readonly client: Client;
}

export interface LineOptions {
  /** How long a host may take that takes connections and then says nothing. */
  readonly connectMs: number;
  /** A half-dead line must not leave a person waiting for ever. */
  readonly keepaliveMs: number;
}

/** Until it stands or is refused; why it was refused, the first call says. @throws AppError UNAVAILABLE when nothing is said at all */
export async function dial(address: string, files: TlsFiles, terminal: Terminal, options: LineOptions): Promise<Line> {
  const { connectMs, keepaliveMs } = options;
  const client = new Client(address, grpcChannelCredentials(files), {
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
    'grpc.enable_retries': 0,
    'grpc.max_reconnect_backoff_ms': 2000,
  });
  try {
    await settled(client, address, terminal, connectMs);
  } catch (error) {
    client.close();
    throw error;
  }
  return { address, client };
}

async function settled(client: Client, address: string, { clock, signal }: Terminal, connectMs: number): Promise<void> {
  const channel = client.getChannel();
  const deadline = clock.now() + connectMs;
  const changed = (from: connectivityState) =>
    new Promise<void>((done, fail) => {
      signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true });
      channel.watchConnectivityState(from, deadline, (error) => {
        if (error === undefined) return done();
        const hint = 'Check that `holdfast controller` runs there and that client.yaml names its address.';
        fail(unreachable(address, `no answer within ${connectMs / 1000} s`, hint));
      });
    });
  let state = channel.getConnectivityState(true);
  while (state === connectivityState.IDLE || state === connectivityState.CONNECTING) {
    await changed(state);
    state = channel.getConnectivityState(true);
  }
}
