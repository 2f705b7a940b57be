import { AppError } from '#common/errors.ts';

/** Lines of a stream of bytes, ended by LF alone: a record may hold every other separator. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  // Strict: bytes that are no UTF-8 would otherwise become something else without a word.
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (error) {
      throw new AppError('DAMAGED', 'the file holds bytes that are no UTF-8', { cause: error });
    }
  };
  let parts: string[] = [];
  for await (const chunk of bytes) {
    const text = decode(chunk);
    let from = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      parts.push(text.slice(from, end));
      yield parts.join('');
      parts = [];
      from = end + 1;
    }
    parts.push(text.slice(from));
  }
  const rest = parts.join('') + decode();
  if (rest !== '') yield rest;
}
