/** Sizes, secrets, durable files and errors: the small words that everything else is said in. */
import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatSize, parseSize } from '#common/bytes.ts';
import { writeDurably } from '#common/durable-file.ts';
import { AppError, ERROR_CODES, fromFault, toAppError, toFault } from '#common/errors.ts';
import { readSecret } from '#common/secrets.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-words-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a size', () => {
  test.each([
    ['20 GB', 20_000_000_000n],
    ['512MiB', 536_870_912n],
    ['1.5 GB', 1_500_000_000n],
    ['0', 0n],
  ])('%s is %s bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', '20 parsecs', '-1', '1e9', 'GB'])('%j is none', (text) => {
    expect(() => parseSize(text)).toThrow('is not a size');
  });

  test('is shown with three digits', () => {
    expect([0n, 999n, 1000n, 1_234_567n, 999_999n].map(formatSize)).toEqual(['0 B', '999 B', '1 KB', '1.23 MB', '1 MB']);
  });
});

describe('a secret file', () => {
  test('that others may read is refused, with the command that repairs it', async () => {
    const path = join(directory, 'password');
    await writeFile(path, 'hunter2\n', { mode: 0o600 });
    await expect(readSecret(path)).resolves.toBe('hunter2');
    await chmod(path, 0o640);
    await expect(readSecret(path)).rejects.toMatchObject({ code: 'INVALID', hint: `Run: chmod 600 ${path}` });
    await expect(readSecret(path)).rejects.not.toThrow('hunter2');
  });
});

test('a secret that is a FIFO or a directory is refused, not waited for', async () => {
  const fifo = join(directory, 'fifo');
  await execa('mkfifo', ['-m', '600', fifo]);
  for (const path of [fifo, directory]) {
    await expect(readSecret(path)).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('no plain file') as string,
    });
  }
});

describe('a durable file', () => {
  test('is there whole, with mode 600, and leaves no temporary one', async () => {
    const path = join(directory, 'state.json');
    await writeDurably(path, 'one');
    await writeDurably(path, 'two');
    expect(await readFile(path, 'utf8')).toBe('two');
    expect((await readdir(directory)).filter((name) => name.includes('tmp'))).toEqual([]);
  });
});

describe('an error', () => {
  test('survives the way to another process', () => {
    const error = new AppError('NO_SPACE', 'store x: full', { hint: 'Free some.' });
    expect(fromFault(toFault(error))).toMatchObject({ code: 'NO_SPACE', message: 'store x: full', hint: 'Free some.' });
  });

  test('that is too long for a message is shortened, and says so', () => {
    const { message } = toFault(new AppError('FAILED', `lost: ${'x'.repeat(5_000_000)}`));
    expect(message.length).toBeLessThan(20_000);
    expect(message).toMatch(/^lost: x+… \(4983622 more characters\)$/);
  });

  test.each(['NEWER', 'constructor', 'toString', ''])('with the code %j of a newer peer is still an error', (code) => {
    expect(fromFault({ code, message: 'm', hint: 'h' })).toMatchObject({ code: 'FAILED', message: 'm', hint: 'h' });
  });

  test('of the system says what was being done', () => {
    const system = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    expect(toAppError(system, 'store the archive')).toMatchObject({
      code: 'NO_SPACE',
      message: 'store the archive: no space left on device',
    });
  });

  test.each([
    ['EACCES', 'FORBIDDEN', /^Run it as a user who may read and write there, or change its owner or mode/],
    ['EPERM', 'FORBIDDEN', /^Run it as a user who may read and write there/],
    ['EROFS', 'FORBIDDEN', /can be written/],
    ['EISDIR', 'INVALID', /^Name a file/],
    ['ENOTDIR', 'INVALID', /^Name a directory/],
    ['ENOENT', 'NOT_FOUND', /^Name a path that exists/],
  ])('%s of the system is %s, and says what to do about a file', (code, expected, hint) => {
    const system = Object.assign(new Error('no'), { code });
    expect(toAppError(system, 'read x')).toMatchObject({ code: expected, hint: expect.stringMatching(hint) });
  });

  test.each(Object.entries(ERROR_CODES))('%s has an exit status that is not success, and a next step', (_code, entry) => {
    expect(entry.exit).toBeGreaterThan(0);
    expect(entry.hint.length).toBeGreaterThan(10);
  });
});
