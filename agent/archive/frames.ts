/**
 * The zstd frames of an archive: each holds 4 MiB of tar (the last one less) and is compressed on its own, several at once, with a
 * checksum. Concatenated they are an ordinary .zst. Never by the stream's own threads: with ZSTD_c_nbWorkers Node loses most of the
 * data without an error.
 */
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';

/** Uncompressed bytes of a frame. */
export const FRAME_BYTES = 4 * 1024 * 1024;
/** Compressed, or not: what cannot be compressed is a little larger then. Beyond this it is no frame of ours. */
export const LARGEST_PACKED = FRAME_BYTES + 64 * 1024;
/** Frames being compressed at once: more than cores, so that none waits for the reader. */
export const FRAMES_IN_FLIGHT = 3;

const compress = promisify(zstdCompress);

export async function compressFrame(content: Uint8Array, level: number): Promise<Buffer> {
  return compress(content, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}
