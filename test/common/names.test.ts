import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backupFileKeys, isKey, requireKey } from '#common/names.ts';

describe('names on disk', () => {
  test('follow the documented pattern, times in UTC', () => {
    const keys = backupFileKeys({
      task: 'default',
      taskCreatedMs: Date.UTC(2026, 10, 24, 9, 30, 0),
      source: 'OMS',
      runStartedMs: Date.UTC(2026, 10, 25, 0, 0, 1),
      version: '1.2.3',
    });
    expect(keys).toEqual({
      prefix: 'default_20261124093000/OMS_20261125000001/',
      archive: 'default_20261124093000/OMS_20261125000001/1.2.3_OMS_20261125000001.tar.zst',
      index: 'default_20261124093000/OMS_20261125000001/1.2.3_OMS_20261125000001.index.zst',
      manifest: 'default_20261124093000/OMS_20261125000001/manifest.json',
    });
  });

  test.each([
    '..',
    '../x',
    'a/../b',
    '/etc/passwd',
    'a//b',
    'a/',
    '',
    'a\0b',
    'a\\b',
    '.hidden',
    'a/.tmp',
    'ä',
    'a b',
    '%2e%2e/x',
  ])('the key %j would lead out of its directory or cannot stand there: refused', (key) => {
    expect(isKey(key)).toBe(false);
    expect(() => requireKey(key)).toThrow('cannot stand on a target');
  });

  test('a task name that would become a path is refused again where it becomes one', () => {
    const of = { taskCreatedMs: 0, source: 'OMS', runStartedMs: 0, version: '1' } as const;
    expect(() => backupFileKeys({ ...of, task: '../../etc' })).toThrow('cannot stand on a target');
  });

  test('no accepted key ever holds a part that leads up, is empty or hidden', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '.', '/', '_', '-', '\\', '\0', 'Z', '9') }), (key) => {
        fc.pre(isKey(key));
        expect(key.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.includes('\0'))).toBe(true);
      }),
    );
  });
});
