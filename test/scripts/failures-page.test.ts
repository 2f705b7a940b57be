import { access, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';

/** The last column of each table of docs/failures.md. */
const rows = (await readFile('docs/failures.md', 'utf8'))
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  .filter((cells) => !cells.at(-2)?.startsWith('tested in'));

describe('docs/failures.md', () => {
  test.each(rows.map((cells) => [cells[1] ?? '', cells.at(-2) ?? '']))('%s: is tested where it says', async (_what, tests) => {
    expect(tests).not.toBe('');
    for (const name of tests.split(', ')) await access(`test/${name}.test.ts`);
  });
});
