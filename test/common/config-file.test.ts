import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseConfig, readConfig } from '#common/config-file.ts';
import { AppError } from '#common/errors.ts';

const schema = z.strictObject({
  node: z.string(),
  vault: z.strictObject({ port: z.int().min(0).max(65535), directory: z.string() }).optional(),
});

function faultsOf(text: string): string {
  try {
    parseConfig(text, 'agent.yaml', schema);
  } catch (error) {
    if (error instanceof AppError && error.code === 'INVALID') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('a configuration file', () => {
  test('with several faults is refused whole, naming each with its line', () => {
    const message = faultsOf('node: 7\nvault:\n  port: 70000\n  directory: /x\n  colour: red\n');
    expect(message).toContain('has 3 fault(s)');
    expect(message).toContain('agent.yaml:1: node:');
    expect(message).toContain('agent.yaml:3: vault.port:');
    expect(message).toContain('agent.yaml:5: vault.colour: unknown field');
  });

  test('with a missing field names the line of what should hold it', () => {
    expect(faultsOf('node: n1\nvault:\n  port: 1\n')).toContain('agent.yaml:3: vault.directory:');
  });

  test('with a key given twice is refused', () => {
    expect(faultsOf('node: a\nnode: b\n')).toContain('agent.yaml:2');
  });

  test('that is no YAML is refused with the line', () => {
    expect(faultsOf('node: "unclosed\n')).toMatch(/agent\.yaml:\d+/);
  });

  test.each([
    ['an alias of nothing', 'node: *nothing\n'],
    [
      'aliases of aliases without end',
      `a0: &a0 [x]\n${Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}]\n`).join('')}`,
    ],
  ])('with %s is refused', (_what, text) => {
    expect(faultsOf(text)).toMatch(/agent\.yaml: .*alias/i);
  });

  test('that is sound is read', () => {
    expect(parseConfig('node: n1\n', 'agent.yaml', schema)).toEqual({ node: 'n1' });
  });
});

describe('reading', () => {
  let directory: string;
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test('a file that is missing says which', async () => {
    directory = await mkdtemp(join(tmpdir(), 'holdfast-config-'));
    const path = join(directory, 'none.yaml');
    await expect(readConfig(path, schema)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(path) as string,
    });
    await writeFile(path, 'node: n2');
    await expect(readConfig(path, schema)).resolves.toEqual({ node: 'n2' });
  });

  test('that is a directory, or lies in a file, is bad input with a next step of its own', async () => {
    directory = await mkdtemp(join(tmpdir(), 'holdfast-config-'));
    await expect(readConfig(directory, schema)).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringMatching(/^Name a file/),
    });
    await writeFile(join(directory, 'file'), '');
    await expect(readConfig(join(directory, 'file', 'x.yaml'), schema)).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringMatching(/^Name a directory/),
    });
  });
});
