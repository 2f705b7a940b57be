/** docs/rules.md names, of each rule, a setting, a place and a test: each of them is there. */
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { settingsOf } from '../../controller/api/settings.ts';
import { controllerConfigSchema } from '../../controller/config.ts';

const page = await readFile('docs/rules.md', 'utf8');
const rows = page
  .slice(page.indexOf('## Each rule'))
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| rule |'))
  .map((line) => line.slice(2, -2).split(' | '));

const settings = settingsOf(
  controllerConfigSchema.parse({
    listen: { host: 'h', port: 1 },
    tls: { ca: 'a', cert: 'b', key: 'c' },
    stateDirectory: 's',
    grantSigningKey: 'k',
    managementNodes: { active: 'mn1' },
  }),
);

test('the numbered rules of execution are all there', () => {
  expect(rows.map(([rule]) => /^\*\*(\d)\*\*/.exec(rule ?? '')?.[1]).filter((number) => number !== undefined)).toEqual([
    '1',
    '2',
    '3',
    '4',
    '5',
    '6',
    '7',
    '8',
  ]);
});

describe.each(rows)('the rule "%s"', (_rule, setting, place, proof) => {
  test('has the default that config show tells', () => {
    const [, name, value] = /^`([A-Za-z.]+)` (.+)$/.exec(setting ?? '') ?? [];
    if (name === undefined) return expect(setting).toMatch(/^(none: |task|agent `|`)/);
    expect(settings.find((one) => one.name === name)?.defaultValue).toBe(value);
  });

  test('stands where it says', async () => {
    const [, file = '', name = ''] = /^`([^`]+)` ?(\w*)$/.exec(place ?? '') ?? [];
    expect(await readFile(file, 'utf8')).toContain(name);
  });

  test('has the test that it names', async () => {
    const [, file = '', name = ''] = /^`([^`]+)`: (.+)$/.exec(proof ?? '') ?? [];
    expect(name).not.toBe('');
    expect((await readFile(file, 'utf8')).replaceAll('\\', '')).toContain(name);
  });
});
