/**
 * Carries connections between two places, each a TCP address or the path of a Unix socket (which is the same in every network namespace):
 *
 *   node relay.ts '{"routes": [{"listen": "10.77.0.1:25700", "connect": "/tmp/x/1.sock"}], "delayMs": 300, "stallMs": 3000, "seed": 1}'
 *
 * With a delay it is a long line: bytes arrive that much later, and now and then the whole line stands still for up to `stallMs`. The
 * same seed stalls after the same amounts of bytes. Prints "ready", then a line for each stall.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { ListenOptions, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { systemClock } from '#common/clock.ts';

export interface Relay {
  readonly routes: readonly { readonly listen: string; readonly connect: string }[];
  readonly delayMs?: number;
  readonly stallMs?: number;
  readonly seed?: number;
}

/** Pieces on their way on one connection, each of 64 KiB at most: beyond it the sender waits, as on any line. */
const ON_THE_WAY = 256;
/** The line stands still once in about so many bytes, on all of its connections together. */
const STALL_EVERY = 4 * 1024 * 1024;

interface Piece {
  readonly bytes: Buffer;
  readonly due: number;
}

interface Line {
  readonly delayMs: number;
  /** Resolves when a piece that has come through may go out. */
  pass(piece: Piece): Promise<void>;
}

const { signal } = new AbortController();

function openLine({ delayMs = 0, stallMs = 0, seed = 1 }: Relay): Line {
  const random = seededRandom(seed);
  let untilStall = 2 * STALL_EVERY * random();
  let standsUntil = 0;
  return {
    delayMs,
    async pass({ bytes, due }) {
      untilStall -= bytes.length;
      if (stallMs > 0 && untilStall <= 0) {
        const ms = Math.round(stallMs * (0.5 + random() / 2));
        standsUntil = systemClock.monotonic() + ms;
        untilStall = 2 * STALL_EVERY * random();
        process.stdout.write(`stalled for ${ms} ms\n`);
      }
      for (;;) {
        const wait = Math.max(due, standsUntil) - systemClock.monotonic();
        if (wait <= 0) return;
        await systemClock.sleep(wait, signal);
      }
    },
  };
}

/** One direction of a connection. The end of it travels like a byte. */
async function carry(from: Socket, to: Socket, line: Line): Promise<void> {
  const way = new PassThrough({ objectMode: true, highWaterMark: ON_THE_WAY });
  const coming = (async () => {
    for await (const bytes of from as AsyncIterable<Buffer>) {
      const piece: Piece = { bytes, due: systemClock.monotonic() + line.delayMs };
      if (!way.write(piece)) await once(way, 'drain');
    }
    way.end();
  })().catch((error: Error) => void way.destroy(error));
  for await (const piece of way as AsyncIterable<Piece>) {
    await line.pass(piece);
    if (!to.write(piece.bytes)) await once(to, 'drain');
  }
  to.end();
  await coming;
}

/** A general-purpose generator of 32 bits (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function placeOf(text: string): ListenOptions & { port: number; host: string } {
  const [host = '', port] = text.split(':');
  // Either a path or an address: the library takes the one that is there.
  return (text.startsWith('/') ? { path: text } : { host, port: Number(port) }) as ReturnType<typeof placeOf>;
}

const relay = JSON.parse(process.argv[2] ?? '') as Relay;
const line = openLine(relay);
for (const { listen, connect: target } of relay.routes) {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ ...placeOf(target), allowHalfOpen: true });
    const cut = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', cut);
    carry(near, far, line).catch(cut);
    carry(far, near, line).catch(cut);
  });
  server.listen(placeOf(listen));
  await once(server, 'listening');
}
process.stdout.write('ready\n');
