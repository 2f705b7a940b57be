import { createPrivateKey, createPublicKey } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { createGrantKeys } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { targetContract } from '../targets/contract.ts';
import { PREFIX, grant, never } from '../vault/test-vault.ts';
import { emptyDisk, openMemoryVault } from './memory-vault.ts';

const keys = createGrantKeys();
const grantPublicKey = createPublicKey(keys.publicPem);
const token = (attempt: number) => grant({ attempt }, createPrivateKey(keys.privatePem));
const disk = emptyDisk('mn1');
let reachable = true;
const open = (attempt = 1) =>
  openMemoryVault({
    disk,
    agent: 'dn1',
    access: { grant: token(attempt) },
    grantPublicKey,
    clock: systemClock,
    reachable: () => reachable,
  });

targetContract('the vault in memory', async () => open());

const put = (key: string, attempt = 1) => open(attempt).put(PREFIX + key, Readable.from([Buffer.from('x')]), never);

test('a vault in memory refuses what is full, fenced or cannot be reached, and keeps nothing of it', async () => {
  disk.full = true;
  await expect(put('full')).rejects.toMatchObject({ code: 'NO_SPACE' });
  disk.full = false;
  reachable = false;
  await expect(put('away')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  reachable = true;
  await open(2).list(PREFIX, never);
  await expect(put('old')).rejects.toMatchObject({ code: 'FENCED' });
  await put('new', 2);
  expect([...disk.files.keys()].filter((key) => /full|away|old|new/.test(key))).toEqual([`${PREFIX}new`]);
});
