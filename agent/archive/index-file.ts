/**
 * The index of an archive: where each entry lies, so that one file of a terabyte can be read alone. One JSON value a line, zstd:
 *
 *   {"format":"holdfast-index/1","frameBytes":4194304}
 *   {"path":…,"type":…,"size":…,"mode":…,"uid":…,"gid":…,"mtimeNs":…,"at":…}   an entry; `at` is where its header begins in the tar
 *   {"frames":[…]}                                                              compressed offsets of frames, in order, in portions
 *   {"entries":…,"frames":…,"tarBytes":…,"archiveBytes":…}                      the end: an index without it is truncated
 *
 * `path` and `link` are UTF-8, or "base64:" and bytes where they are not.
 */
import { FRAME_BYTES } from './frames.ts';
import { writePortions } from './portions.ts';
import type { TarEntry } from './tar-header.ts';

const INDEX_FORMAT = 'holdfast-index/1';

export interface IndexWriter {
  entry(entry: TarEntry, at: bigint): void;
  frame(offset: number): void;
  /** The file is whole when it returns. */
  end(totals: { tarBytes: bigint; archiveBytes: bigint }): void;
}

/** Synchronous: it runs in the packing thread. */
export function writeIndex(path: string): IndexWriter {
  const { line, end } = writePortions(path);
  let frames: number[] = [];
  let entryCount = 0;
  let frameCount = 0;

  const flushFrames = () => {
    if (frames.length > 0) line(JSON.stringify({ frames }));
    frames = [];
  };
  line(JSON.stringify({ format: INDEX_FORMAT, frameBytes: FRAME_BYTES }));

  return {
    // Put together by hand: with 100,000 small files JSON.stringify of an object with bigints was a fifth of all the packing.
    entry({ path: name, link, type, size: bytes, mode, uid, gid, mtimeNs }, at) {
      entryCount++;
      const linked = link === undefined ? '' : `"link":${JSON.stringify(encodeName(link))},`;
      line(
        `{"path":${JSON.stringify(encodeName(name))},"type":"${type}","size":"${bytes}","mode":${mode},"uid":${uid},"gid":${gid},"mtimeNs":"${mtimeNs}",${linked}"at":"${at}"}`,
      );
    },
    frame(offset) {
      frameCount++;
      if (frames.push(offset) === 1000) flushFrames();
    },
    end(totals) {
      flushFrames();
      const { tarBytes, archiveBytes } = totals;
      line(`{"entries":${entryCount},"frames":${frameCount},"tarBytes":"${tarBytes}","archiveBytes":"${archiveBytes}"}`);
      end();
    },
  };
}

/** A name on Linux is bytes; JSON is text. */
export function encodeName(name: Buffer): string {
  const text = name.toString('utf8');
  return Buffer.from(text).equals(name) && !text.startsWith('base64:') ? text : `base64:${name.toString('base64')}`;
}
