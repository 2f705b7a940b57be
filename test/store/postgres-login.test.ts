/** How the controller comes to its PostgreSQL: place, password, TLS. */
import { chmod, chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAuthority, issueCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { openPostgres } from '../../controller/store/postgres.ts';
import { poolConfig } from '../../controller/store/postgres-options.ts';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import { postgresHome } from './homes.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server.stop();
});

async function file(name: string, text: string, mode = 0o600): Promise<string> {
  const path = join(server.directory, name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

describe('the password', () => {
  test('comes from its file, which only its owner may read', async () => {
    await using place = await postgresHome(server);
    const open = await file('open', server.password, 0o640);
    await expect(openPostgres(place.where({ passwordFile: open }))).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringContaining('chmod 600') as string,
    });
    const wrong = await file('wrong', 'not it');
    await expect(openPostgres(place.where({ passwordFile: wrong }))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(openPostgres(place.where({ passwordFile: '/nonexistent' }))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('comes from nowhere else', async () => {
    await using place = await postgresHome(server);
    vi.stubEnv('PGPASSWORD', server.password);
    await expect(openPostgres(place.where({ passwordFile: undefined }))).rejects.toMatchObject({
      code: 'INVALID',
      hint: expect.stringContaining('passwordFile') as string,
    });
    const url = `postgresql://postgres:${encodeURIComponent(server.password)}@127.0.0.1:${server.port}/x`;
    const refused = poolConfig({ url });
    await expect(refused).rejects.toMatchObject({ code: 'INVALID', hint: expect.stringContaining('passwordFile') as string });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(server.password) as string });
  });
});

describe('the place', () => {
  test('may be given as a url', async () => {
    await using place = await postgresHome(server);
    const url = `postgresql://postgres@127.0.0.1:${server.port}/${place.database}`;
    const database = await openPostgres({ url, passwordFile: server.passwordFile });
    expect(await database.db.selectFrom('tasks').selectAll().execute()).toEqual([]);
    await database.db.destroy();
  });

  test.each([
    ['nothing', {}],
    ['no database', { host: 'localhost', user: 'u' }],
    ['a url and a part', { url: 'postgresql://u@localhost/d', port: 1 }],
    ['parameters in the url', { url: 'postgresql://u@localhost/d?sslmode=disable' }],
    ['a url of something else', { url: 'mysql://u@localhost/d' }],
    ['a url without database', { url: 'postgresql://u@localhost' }],
    ['no url', { url: 'localhost' }],
    ['another machine without TLS', { url: 'postgresql://u@db.example.com/d' }],
  ])('is refused: %s', async (_what, options) => {
    await expect(poolConfig(options)).rejects.toMatchObject({ code: 'INVALID' });
  });

  test('where no such database or server is says so', async () => {
    await using place = await postgresHome(server);
    await expect(openPostgres(place.where({ database: 'none' }))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(openPostgres(place.where({ port: 1 }))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

test('with TLS the server must prove who it is', async () => {
  await using place = await postgresHome(server);
  const now = systemClock.now();
  const authority = await createAuthority({ commonName: 'database CA', days: 1, now });
  const stranger = await createAuthority({ commonName: 'another CA', days: 1, now });
  const own = await issueCertificate(authority, { commonName: 'db', role: 'controller', hosts: ['127.0.0.1'], days: 1, now });
  const cert = await file('server.crt', own.certPem);
  const key = await file('server.key', own.keyPem);
  const { uid, gid } = await stat(server.directory);
  for (const path of [cert, key]) await chown(path, uid, gid);
  await server.sql(
    'postgres',
    `alter system set ssl_cert_file = '${cert}'`,
    `alter system set ssl_key_file = '${key}'`,
    'alter system set ssl = on',
    'select pg_reload_conf()',
  );
  const ca = await file('ca.crt', authority.certPem, 0o644);
  const other = await file('other.crt', stranger.certPem, 0o644);
  const database = await vi.waitFor(() => openPostgres(place.where({ tls: { ca } })), { timeout: 10_000, interval: 50 });
  const { rows } = await sql`select ssl, version from pg_stat_ssl where pid = pg_backend_pid()`.execute(database.db);
  await database.db.destroy();
  expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
  await expect(openPostgres(place.where({ tls: { ca: other } }))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(openPostgres(place.where({ tls: { ca: '/nonexistent' } }))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
