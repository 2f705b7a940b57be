/** Sources under test, and what they back up: databases with everything that a dump can get wrong, and configuration files. */
import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { packArchive } from '../../../agent/archive/pack.ts';
import { unpackArchive } from '../../../agent/archive/unpack.ts';
import { createDbServiceSource, dbServiceSettingsSchema } from '../../../agent/sources/db-service.ts';
import { createOmsSource, omsSettingsSchema } from '../../../agent/sources/oms.ts';
import type { RestoreRequest, Source, SourceIo, UndoRecord } from '../../../agent/sources/source.ts';
import type { TestServer } from './server.ts';

const run = promisify(execFile);

export const ODD_NAME = `we"ird name'`;

export interface TestIo extends SourceIo {
  readonly lines: string[];
  readonly phases: string[];
  readonly stop: AbortController;
}

/** Temporary directories of a file's tests, removed together. */
export class Scratch {
  readonly #made: string[] = [];

  async directory(): Promise<string> {
    const made = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
    this.#made.push(made);
    return made;
  }

  async io(): Promise<TestIo> {
    const stop = new AbortController();
    const lines: string[] = [];
    const phases: string[] = [];
    return {
      workDirectory: await this.directory(),
      signal: stop.signal,
      stop,
      lines,
      phases,
      log: (level, message) => lines.push(`${level}: ${message}`),
      progress: (phase) => phases.push(phase),
    };
  }

  async remove(): Promise<void> {
    for (const made of this.#made) await rm(made, { recursive: true, force: true });
  }
}

export function omsSource(
  server: TestServer,
  changes: Record<string, unknown> = {},
  database: Record<string, unknown> = {},
): Source {
  return createOmsSource(
    omsSettingsSchema.parse({
      database: {
        host: '127.0.0.1',
        port: server.port,
        user: 'postgres',
        passwordFile: server.passwordFile,
        name: 'oms',
        ...database,
      },
      ...changes,
    }),
  );
}

export function dbServiceSource(server: TestServer, databases: string[], changes: Record<string, unknown> = {}): Source {
  return createDbServiceSource(
    dbServiceSettingsSchema.parse({
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      passwordFile: server.passwordFile,
      databases,
      ...changes,
    }),
  );
}

export interface Backup {
  readonly facts: Readonly<Record<string, string>>;
  readonly unpacked: string;
}

/** Backs up, and lays the content out as an unpacked archive has it. */
export async function backUp(source: Source, scratch: Scratch, io?: TestIo, databases: readonly string[] = []): Promise<Backup> {
  await using prepared = await source.prepareBackup({ databases, nameService: '' }, io ?? (await scratch.io()));
  const { roots, facts } = await prepared.backup();
  const unpacked = await scratch.directory();
  for (const { from, as } of roots) {
    const to = join(unpacked, as);
    await mkdir(dirname(to), { recursive: true });
    await run('cp', ['-aT', '--preserve=all', from, to]);
  }
  return { facts, unpacked };
}

/** The same through a real archive, as the runner does it. */
export async function backUpArchived(source: Source, scratch: Scratch, io: TestIo): Promise<Backup> {
  await using prepared = await source.prepareBackup({ databases: [], nameService: '' }, io);
  const { roots, facts } = await prepared.backup();
  const packing = packArchive(roots, { workDirectory: await scratch.directory(), level: 1, signal: io.signal });
  const path = join(await scratch.directory(), 'archive.tar.zst');
  await pipeline(packing.stream, createWriteStream(path));
  const into = await scratch.directory();
  await unpackArchive(createReadStream(path), { into, expected: await packing.summary, signal: io.signal });
  return { facts, unpacked: into };
}

export function restoreRequest({ facts }: Backup, options: Partial<RestoreRequest> = {}): RestoreRequest {
  return { facts, contentBytes: 1n, renameDatabases: {}, directory: undefined, ...options };
}

/** As the runner does it. Gives what check() said. */
export async function restore(
  source: Source,
  backup: Backup,
  io: SourceIo,
  options: Partial<RestoreRequest> = {},
  saveUndo: (undo: UndoRecord) => Promise<void> = () => Promise.resolve(),
): Promise<readonly string[]> {
  const request = restoreRequest(backup, options);
  const { refusals } = await source.planRestore(request, io);
  if (refusals.length > 0) throw new Error(refusals.join('; '));
  await using prepared = await source.prepareRestore(request, io);
  await prepared.stage(backup.unpacked);
  let lines: readonly string[];
  try {
    await prepared.switchOver(saveUndo);
    lines = await prepared.check();
  } catch (error) {
    await prepared.rollBack();
    throw error;
  }
  await prepared.commit();
  return lines;
}

/** Owner, mode, time, links, extended attributes and content of all below `path`, by other means than the code under test. */
export async function listing(path: string): Promise<string> {
  const script = `
import hashlib, os, stat, sys
top = os.fsencode(sys.argv[1])
def show(path):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    row = [os.path.relpath(path, top), oct(s.st_mode), s.st_uid, s.st_gid]
    if kind != stat.S_IFDIR: row.append(s.st_nlink)
    if kind == stat.S_IFLNK: row.append(os.readlink(path))
    else: row.append(s.st_mtime_ns)
    if kind == stat.S_IFREG: row += [hashlib.sha256(open(path, 'rb').read()).hexdigest()]
    row += [(n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(os.listxattr(path, follow_symlinks=False))]
    print(row)
    if kind == stat.S_IFDIR:
        for name in sorted(os.listdir(path)): show(os.path.join(path, name))
show(top)
`;
  return (await run('python3', ['-c', script, path])).stdout;
}

/** A configuration directory with a symbolic link, a hard link, odd owners, modes and times, an extended attribute and a name that is not UTF-8. */
export async function makeConfiguration(path: string): Promise<void> {
  const script = `
import os, sys
top = os.fsencode(sys.argv[1])
os.makedirs(top + b'/sub dir')
def write(name, text, mode, uid, gid, mtime):
    with open(top + b'/' + name, 'wb') as f: f.write(text)
    if os.getuid() == 0: os.chown(top + b'/' + name, uid, gid)
    os.chmod(top + b'/' + name, mode); os.utime(top + b'/' + name, ns=(mtime, mtime))
write(b'oms.xml', b'<oms/>', 0o640, 1234, 4321, 1500000000123456789)
write(b'sub dir/start.sh', b'#!/bin/sh', 0o4755, 0, 0, 1400000000000000001)
write(b'caf\\xe9.conf', b'latin-1 name', 0o600, 0, 0, 1300000000000000000)
write(b'empty', b'', 0o400, 0, 0, 1200000000000000000)
os.symlink('oms.xml', top + b'/current')
os.symlink('/nowhere', top + b'/dangling')
os.link(top + b'/oms.xml', top + b'/sub dir/hard.xml')
os.setxattr(top + b'/oms.xml', b'user.origin', b'node-1')
os.setxattr(top + b'/sub dir', b'user.kind', b'scripts')
os.chmod(top + b'/sub dir', 0o2750); os.utime(top + b'/sub dir', ns=(1100000000987654321,) * 2)
os.chmod(top, 0o711); os.utime(top, ns=(1000000000000000007,) * 2)
`;
  await run('python3', ['-c', script, path]);
}

/** A database with an owner, groups and grants, every kind of object, and alarm tables. */
export async function makeDatabase(server: TestServer, name = 'oms', roles = 'oms'): Promise<void> {
  const quoted = `"${name.replaceAll('"', '""')}"`;
  await server.sql(
    'postgres',
    `CREATE ROLE ${roles}_owner LOGIN PASSWORD 'owner-pass' CONNECTION LIMIT 50 VALID UNTIL '2040-01-01'`,
    `CREATE ROLE ${roles}_rw NOLOGIN`,
    `CREATE ROLE ${roles}_app LOGIN PASSWORD 'app-pass' IN ROLE ${roles}_rw`,
    `ALTER ROLE ${roles}_app SET statement_timeout = '5min'`,
    `COMMENT ON ROLE ${roles}_rw IS 'it''s a group'`,
    `CREATE DATABASE ${quoted} OWNER ${roles}_owner TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'`,
    `REVOKE CONNECT ON DATABASE ${quoted} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${quoted} TO ${roles}_rw WITH GRANT OPTION`,
    `ALTER DATABASE ${quoted} SET search_path = "$user", public, "odd, schema"`,
    `ALTER DATABASE ${quoted} SET application_name = 'back\\slash ''quote'''`,
    `ALTER ROLE ${roles}_app IN DATABASE ${quoted} SET work_mem = '8MB'`,
    `COMMENT ON DATABASE ${quoted} IS 'cluster manager''s'`,
    `ALTER DATABASE ${quoted} CONNECTION LIMIT 80`,
  );
  await server.sql(
    name,
    `CREATE SCHEMA "odd, schema" AUTHORIZATION ${roles}_owner`,
    `SET ROLE ${roles}_owner`,
    'CREATE TABLE "odd, schema".host (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, name text NOT NULL UNIQUE, seen timestamptz)',
    `INSERT INTO "odd, schema".host (name, seen) SELECT 'host ' || n, '2026-01-01'::timestamptz + n * '1 s'::interval FROM generate_series(1, 3000) n`,
    'CREATE TABLE "odd, schema"."my table" (id serial, host int REFERENCES "odd, schema".host, body bytea, note text)',
    `INSERT INTO "odd, schema"."my table" (host, body, note) SELECT n, decode(md5(n::text), 'hex'), E'line\\nbreak\\ttab \\\\. back\\\\slash ' || n FROM generate_series(1, 500) n`,
    `CREATE TABLE "odd, schema".part (day date, n int) PARTITION BY RANGE (day)`,
    `CREATE TABLE "odd, schema".part_1 PARTITION OF "odd, schema".part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')`,
    `INSERT INTO "odd, schema".part VALUES ('2026-01-05', 1), ('2026-01-06', 2)`,
    'CREATE TABLE "odd, schema".child (extra text) INHERITS ("odd, schema".host)',
    `INSERT INTO "odd, schema".child (id, name, extra) VALUES (99999, 'inherited', 'x')`,
    'CREATE TABLE "odd, schema".empty ()',
    'CREATE VIEW "odd, schema".recent AS SELECT name FROM "odd, schema".host WHERE id > 2990',
    'CREATE MATERIALIZED VIEW "odd, schema".total AS SELECT count(*) AS n FROM "odd, schema".host',
    'CREATE SEQUENCE "odd, schema".ticket START 77',
    `SELECT nextval('"odd, schema".ticket') FROM generate_series(1, 5)`,
    'CREATE TABLE "odd, schema".t_alarm_history (id int PRIMARY KEY, text text)',
    `INSERT INTO "odd, schema".t_alarm_history SELECT n, 'alarm ' || n FROM generate_series(1, 100) n`,
    `CREATE FUNCTION "odd, schema".stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := now(); RETURN NEW; END $$`,
    'CREATE TRIGGER stamp BEFORE INSERT ON "odd, schema".host FOR EACH ROW EXECUTE FUNCTION "odd, schema".stamp()',
    `GRANT USAGE ON SCHEMA "odd, schema" TO ${roles}_rw`,
    `GRANT SELECT, INSERT ON "odd, schema".host TO ${roles}_rw`,
    `ALTER DEFAULT PRIVILEGES IN SCHEMA "odd, schema" GRANT SELECT ON TABLES TO ${roles}_rw`,
    `SELECT lo_from_bytea(0, decode('00ff10', 'hex')), lo_from_bytea(0, 'second')`,
    'RESET ROLE',
    'CREATE TABLE public.owned_by_superuser (n int)',
    'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    'CREATE EXTENSION IF NOT EXISTS plpgsql',
  );
}

export async function dropDatabase(server: TestServer, name = 'oms', roles = 'oms'): Promise<void> {
  await server.sql('postgres', `DROP DATABASE IF EXISTS "${name.replaceAll('"', '""')}" WITH (FORCE)`);
  for (const role of ['app', 'rw', 'owner']) await server.sql('postgres', `DROP ROLE IF EXISTS ${roles}_${role}`);
}
