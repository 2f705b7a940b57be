/**
 * Connections that are still listened to when nothing can be written to them any more. A DataNode that refuses a file says why and closes, while
 * it is being written to; Node's own socket then ends with "broken pipe" and drops what has come.
 */
import { Agent } from 'node:http';
import type { ClientRequestArgs } from 'node:http';
import { Socket } from 'node:net';

type Callback = (error?: Error | null) => void;

export class HearingAgent extends Agent {
  override createConnection({ host, port }: ClientRequestArgs): Socket {
    return new HearingSocket().connect(Number(port), host ?? 'localhost');
  }
}

class HearingSocket extends Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, callback: Callback): void {
    super._write(chunk, encoding, this.#whenHeard(callback));
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: Callback): void {
    super._writev?.(chunks, this.#whenHeard(callback));
  }

  /** Of a connection that is broken the reading ends soon, by 'end' or by an error of its own. */
  #whenHeard(callback: Callback): Callback {
    return (error) => {
      if (error === undefined || error === null || this.readableEnded || this.destroyed) callback(error);
      else this.once('end', () => callback(error));
    };
  }
}
