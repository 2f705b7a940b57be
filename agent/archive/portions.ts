/** How both formats of an index are written: one JSON value a line, in portions of zstd, each a frame with a checksum of its own. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { constants, zstdCompressSync } from 'node:zlib';

export interface PortionWriter {
  /** A JSON value without its line end. */
  readonly line: (json: string) => void;
  /** The file is whole when it returns. */
  readonly end: () => void;
  /** Gives the file up as it stands. */
  readonly abandon: () => void;
}

/** Characters of lines that are compressed and written at once. */
const PORTION = 1024 * 1024;

/** Synchronous: a portion takes a few milliseconds. Bounded: a portion at a time. The file must not exist. */
export function writePortions(path: string): PortionWriter {
  const file = openSync(path, 'wx', 0o600);
  let lines: string[] = [];
  let length = 0;

  const flush = () => {
    if (length > 0) {
      // Not `writeSync`, which on a disk that is nearly full writes a part and says nothing.
      writeFileSync(file, zstdCompressSync(lines.join(''), { params: { [constants.ZSTD_c_checksumFlag]: 1 } }));
    }
    lines = [];
    length = 0;
  };

  return {
    line(json) {
      const text = `${json}\n`;
      lines.push(text);
      length += text.length;
      if (length >= PORTION) flush();
    },
    end() {
      flush();
      closeSync(file);
    },
    abandon: () => closeSync(file),
  };
}
