/**
 * Reads a tar as it streams in, strictly: what is damaged, unknown or cut is refused by name, never skipped. (A lenient reader drops a
 * file whose header is damaged without a word.)
 */
import { BLOCK, applyPax, damaged, decodeHeader, decodePax } from './tar-header.ts';
import type { EntryType, RawHeader, TarEntry } from './tar-header.ts';

export interface TarSink {
  /** Files are then filled by `content` and ended by `endFile`. */
  entry(entry: TarEntry): void;
  content(bytes: Uint8Array): void;
  endFile(): void;
}

export interface TarReader {
  /** @throws AppError DAMAGED, and what the sink throws. */
  push(chunk: Uint8Array): void;
  /** @throws AppError DAMAGED when the end of the archive has not come. */
  end(): void;
}

const TYPES: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '\u{0}': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};
/** Attributes may be 64 KiB each; more than this is no header of ours. */
const PAX_LIMIT = 4n * 1024n * 1024n;

type Reading =
  | { readonly kind: 'header' }
  | { readonly kind: 'pax'; readonly size: number }
  | { readonly kind: 'content'; left: bigint; readonly padding: number }
  | { readonly kind: 'padding'; readonly size: number }
  | { readonly kind: 'ending' }
  | { readonly kind: 'ended' };

export function readTar(sink: TarSink): TarReader {
  let reading: Reading = { kind: 'header' };
  let pax = new Map<string, Buffer>();
  let kept: Buffer = Buffer.alloc(0);

  /** `size` bytes from what is kept and `chunk`, or undefined and all of it is kept. */
  function take(input: Input, size: number): Buffer | undefined {
    const needed = size - kept.length;
    const part = input.take(Math.max(needed, 0));
    const joined = kept.length === 0 ? Buffer.from(part) : Buffer.concat([kept, part]);
    kept = joined.length < size ? joined : Buffer.alloc(0);
    return joined.length < size ? undefined : joined;
  }

  function header(block: Buffer): Reading {
    const raw = decodeHeader(block);
    if (raw === undefined) {
      if (pax.size > 0) throw damaged('a pax header that belongs to nothing');
      return { kind: 'ending' };
    }
    if (raw.flag === 'x') {
      if (raw.size > PAX_LIMIT) throw damaged('a pax header that is too large');
      return { kind: 'pax', size: Number(raw.size) };
    }
    const entry = entryOf(raw, pax);
    pax = new Map();
    sink.entry(entry);
    if (entry.type !== 'file') return { kind: 'header' };
    return { kind: 'content', left: entry.size, padding: Number(-entry.size & BigInt(BLOCK - 1)) };
  }

  /** One step; undefined: more bytes are needed. */
  function step(input: Input): Reading | undefined {
    switch (reading.kind) {
      case 'header': {
        const block = take(input, BLOCK);
        return block && header(block);
      }
      case 'pax': {
        const body = take(input, reading.size + (-reading.size & (BLOCK - 1)));
        if (body === undefined) return undefined;
        pax = decodePax(body.subarray(0, reading.size));
        return { kind: 'header' };
      }
      case 'content': {
        if (reading.left > 0n) {
          const part = input.take(reading.left < BigInt(input.length) ? Number(reading.left) : input.length);
          if (part.length === 0) return undefined;
          sink.content(part);
          reading.left -= BigInt(part.length);
          if (reading.left > 0n) return undefined;
        }
        sink.endFile();
        return { kind: 'padding', size: reading.padding };
      }
      case 'padding': {
        const padding = take(input, reading.size);
        if (padding === undefined) return undefined;
        if (padding.some((byte) => byte !== 0)) throw damaged('bytes between its entries');
        return { kind: 'header' };
      }
      case 'ending': {
        const block = take(input, BLOCK);
        if (block === undefined) return undefined;
        if (block.some((byte) => byte !== 0)) throw damaged('an end that is followed by more');
        return { kind: 'ended' };
      }
      case 'ended': {
        if (input.length === 0) return undefined;
        if (input.take(input.length).some((byte) => byte !== 0)) throw damaged('something after its end');
        return undefined;
      }
    }
  }

  return {
    push(chunk) {
      const input = inputOf(chunk);
      for (let next = step(input); next !== undefined; next = step(input)) reading = next;
    },
    end() {
      if (reading.kind !== 'ended') throw damaged('no end: it is truncated');
    },
  };
}

interface Input {
  readonly length: number;
  take(count: number): Uint8Array;
}

function inputOf(chunk: Uint8Array): Input {
  let at = 0;
  return {
    get length() {
      return chunk.length - at;
    },
    take(count) {
      const part = chunk.subarray(at, at + count);
      at += part.length;
      return part;
    },
  };
}

function entryOf(raw: RawHeader, pax: ReadonlyMap<string, Buffer>): TarEntry {
  const type = TYPES[raw.flag];
  const { name, link, ...rest } = applyPax(raw, pax);
  if (type === undefined) throw damaged(`an entry of the unknown type ${JSON.stringify(raw.flag)}`);
  const path = type === 'directory' && name.at(-1) === 0x2f ? name.subarray(0, -1) : name;
  if (type !== 'file' && rest.size !== 0n) throw damaged(`contents for ${path.toString()}, which can have none`);
  return { ...rest, path, type, link: type === 'symlink' || type === 'hardlink' ? link : undefined };
}
