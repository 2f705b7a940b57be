import { describe, expect, test } from 'vitest';
import { decodeManifest, encodeManifest } from '#common/manifest.ts';
import type { Manifest } from '#common/manifest.ts';

const sha256 = 'ab'.repeat(32);
const manifest: Manifest = {
  format: 'holdfast-manifest/1',
  productVersion: '0.1.0',
  task: { name: 'default', createdMs: 1 },
  run: { id: 'r1', attempt: 1, startedMs: 2 },
  set: { id: 's1', sources: ['OMS', 'LdapServer'] },
  source: 'OMS',
  node: 'n1',
  topology: ['n1: OMS'],
  archive: { key: 'default_1/OMS_2/x.tar.zst', size: 2n ** 60n, sha256 },
  index: { key: 'default_1/OMS_2/x.index.zst', size: 5n, sha256 },
  entries: 3,
  contentBytes: 99n,
  facts: { serverVersion: '15.9' },
};

describe('a manifest', () => {
  test('comes back as it was written, sizes beyond 2^53 included', () => {
    expect(decodeManifest(encodeManifest(manifest), 'k')).toEqual(manifest);
  });

  const text = encodeManifest(manifest).toString();
  test.each([
    ['truncated', text.slice(0, -20)],
    ['with an unknown field', text.replace('{', '{"extra":1,')],
    ['with a field missing', text.replace(/"node": "n1",/, '')],
    ['whose hash is no hash', text.replace(sha256, 'xyz')],
    ['whose archive key leads out', text.replace('default_1/OMS_2/x.tar.zst', '../../etc/shadow')],
    ['of another format', text.replace('manifest/1', 'manifest/9')],
    ['of an unknown source', text.replace('"source": "OMS"', '"source": "Kafka"')],
    ['with a negative size', text.replace('"99"', '"-1"')],
  ])('%s cannot be trusted', (_what, tampered) => {
    expect(tampered).not.toBe(text);
    expect(() => decodeManifest(Buffer.from(tampered), 'the/manifest.json')).toThrow(
      /the manifest the\/manifest\.json cannot be trusted/,
    );
  });

  test('that is not UTF-8 cannot be trusted', () => {
    expect(() => decodeManifest(Buffer.from([0xff, 0xfe, 0x7b]), 'k')).toThrow('cannot be trusted');
  });
});
