/** Reads the index of a point, strictly and in bounded memory. */
import { addAbortSignal } from 'node:stream';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError, toAppError } from '#common/errors.ts';
import { readFrames } from '../zstd-frames.ts';
import { LONGEST_LINE, parseLine, requireHead } from './index-lines.ts';
import type { IndexEntry } from './point.ts';
import { compareTreeOrder, isPointPath } from './tree-order.ts';

/** Bytes of a portion: its lines are a mebicharacter and one more line, which may be of three bytes each. */
const LARGEST_PORTION = 4 * LONGEST_LINE;

/**
 * The entries in tree order. Only when it ends was the index whole. `index` is destroyed when it ends or is left.
 * @throws AppError DAMAGED for what is out of order, there twice, unknown, malformed or cut; STOPPED; what `index` fails with.
 */
export async function* readPoint(index: Readable, signal: AbortSignal): AsyncGenerator<IndexEntry, void, undefined> {
  let broken: Error | undefined;
  index.once('error', (error) => (broken = error));
  addAbortSignal(signal, index);
  try {
    yield* entriesOf(linesOf(index));
  } catch (error) {
    if (signal.aborted) throw toAppError(signal.reason, 'read the index');
    if (broken !== undefined || isPremature(error)) throw toAppError(broken ?? error, 'read the index');
    const text = error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : String(error);
    throw new AppError('DAMAGED', `the index cannot be trusted: ${text}`, { cause: error });
  }
}

/** The stream went away without a reason. */
function isPremature(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

async function* entriesOf(lines: AsyncIterable<string>): AsyncGenerator<IndexEntry, void, undefined> {
  let first = true;
  let ended = false;
  let previous: string | undefined;
  let entries = 0;
  let contentBytes = 0n;
  for await (const text of lines) {
    if (ended) throw new Error('something follows its end');
    if (first) requireHead(text);
    else {
      const line = parseLine(text);
      if (line.kind === 'end') {
        if (line.entries !== entries || line.contentBytes !== contentBytes) throw new Error('it counts other than it holds');
        ended = true;
      } else {
        const { path, size } = line.entry;
        requireNext(previous, path);
        previous = path;
        entries++;
        contentBytes += size;
        yield line.entry;
      }
    }
    first = false;
  }
  if (!ended) throw new Error('its end is missing');
}

function requireNext(previous: string | undefined, path: string): void {
  if (!isPointPath(path)) throw new Error(`${JSON.stringify(path)} is no path of a tree`);
  if (previous !== undefined && compareTreeOrder(previous, path) >= 0) {
    throw new Error(`${path} ${previous === path ? 'is there twice' : `comes after ${previous}`}`);
  }
}

async function* linesOf(index: Readable): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let rest = '';
  for await (const portion of readFrames(index, LARGEST_PORTION)) {
    const lines = (rest + decoder.decode(portion, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw new Error('it has a line without an end');
    yield* lines;
  }
  if (rest + decoder.decode() !== '') throw new Error('its last line is cut');
}
