/** What belongs to a database beyond its content: owner, encoding, locale, grants, settings. Kept in database.json beside the dump. */
import { z } from 'zod';
import { quoteIdentifier, quoteLiteral, settingAssignment } from './quote.ts';
import type { PostgresServer } from './server.ts';

const databaseSchema = z.strictObject({
  name: z.string(),
  owner: z.string(),
  encoding: z.string(),
  collate: z.string().nullable(),
  ctype: z.string().nullable(),
  /** From server version 15 on: c(libc), i(cu), b(uiltin). */
  localeProvider: z.string().nullable(),
  locale: z.string().nullable(),
  icuRules: z.string().nullable(),
  connectionLimit: z.int(),
  comment: z.string().nullable(),
  /** null: as after CREATE DATABASE. */
  grants: z.array(z.strictObject({ grantee: z.string().nullable(), privilege: z.string(), grantable: z.boolean() })).nullable(),
  /** `name=value`, as ALTER DATABASE … SET; with a role, as ALTER ROLE … IN DATABASE … SET. */
  settings: z.array(z.strictObject({ role: z.string().nullable(), setting: z.string() })),
  /** A database made from template0 has it; one that was made without it must lose it again. */
  hasPublicSchema: z.boolean(),
  /** Where its tables lie that name no other; null: in pg_default. */
  tablespace: z.string().nullable(),
  /** All that it uses, other than pg_default. */
  tablespaces: z.array(z.string()),
});

export const keptDatabaseSchema = databaseSchema;
export type KeptDatabase = z.infer<typeof databaseSchema>;

export async function readDatabase(server: PostgresServer, database: string): Promise<KeptDatabase> {
  return server.query(
    database,
    `read the properties of the database ${database}`,
    `select json_build_object('name', d.datname, 'owner', pg_get_userbyid(d.datdba),
      'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
      'localeProvider', to_jsonb(d) ->> 'datlocprovider',
      'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
      'icuRules', to_jsonb(d) ->> 'daticurules', 'connectionLimit', d.datconnlimit,
      'comment', shobj_description(d.oid, 'pg_database'),
      'grants', case when d.datacl is not null then (select coalesce(json_agg(json_build_object(
          'grantee', case when grantee <> 0 then pg_get_userbyid(grantee) end, 'privilege', privilege_type,
          'grantable', is_grantable)), '[]') from aclexplode(d.datacl)) end,
      'settings', (select coalesce(json_agg(json_build_object(
          'role', case when setrole <> 0 then pg_get_userbyid(setrole) end, 'setting', setting)), '[]')
        from pg_db_role_setting, unnest(setconfig) setting where setdatabase = d.oid),
      'hasPublicSchema', exists (select from pg_namespace where nspname = 'public'),
      'tablespace', (select spcname from pg_tablespace where oid >= 16384 and oid = d.dattablespace),
      'tablespaces', (select coalesce(json_agg(spcname), '[]') from pg_tablespace
        where oid >= 16384 and (oid = d.dattablespace or oid in (select reltablespace from pg_class))))
    from pg_database d where d.datname = current_database();`,
    databaseSchema,
  );
}

/** An empty database like the kept one, under another name. Superusers only may connect to it, until applyProperties. */
export function createDatabase(kept: KeptDatabase, name: string, serverMajor: number, tablespace: string | null): string {
  const parts = [
    'TEMPLATE template0',
    `OWNER ${quoteIdentifier(kept.owner)}`,
    `ENCODING ${quoteLiteral(kept.encoding)}`,
    ...(kept.collate === null ? [] : [`LC_COLLATE ${quoteLiteral(kept.collate)}`]),
    ...(kept.ctype === null ? [] : [`LC_CTYPE ${quoteLiteral(kept.ctype)}`]),
    ...(serverMajor < 15 ? [] : localeOf(kept)),
    ...(tablespace === null ? [] : [`TABLESPACE ${quoteIdentifier(tablespace)}`]),
    'CONNECTION LIMIT 0',
  ];
  return `CREATE DATABASE ${quoteIdentifier(name)} WITH ${parts.join(' ')}`;
}

function localeOf(kept: KeptDatabase): string[] {
  const locale = kept.locale === null ? '' : quoteLiteral(kept.locale);
  if (kept.localeProvider === 'b') return ['LOCALE_PROVIDER builtin', `BUILTIN_LOCALE ${locale}`];
  // Said, because the template may have another; and older servers had no other to tell of.
  if (kept.localeProvider !== 'i') return ['LOCALE_PROVIDER libc'];
  const rules = kept.icuRules === null ? [] : [`ICU_RULES ${quoteLiteral(kept.icuRules)}`];
  return ['LOCALE_PROVIDER icu', `ICU_LOCALE ${locale}`, ...rules];
}

/** Grants, settings, limit and comment, put on the database `name`. */
export function applyProperties(kept: KeptDatabase, name: string): string[] {
  const database = quoteIdentifier(name);
  return [
    ...applyGrants(kept, database),
    ...kept.settings.map(({ role, setting }) =>
      role === null
        ? `ALTER DATABASE ${database} SET ${settingAssignment(setting)}`
        : `ALTER ROLE ${quoteIdentifier(role)} IN DATABASE ${database} SET ${settingAssignment(setting)}`,
    ),
    ...(kept.comment === null ? [] : [`COMMENT ON DATABASE ${database} IS ${quoteLiteral(kept.comment)}`]),
    `ALTER DATABASE ${database} CONNECTION LIMIT ${kept.connectionLimit}`,
  ];
}

function applyGrants(kept: KeptDatabase, database: string): string[] {
  if (kept.grants === null) return [];
  return [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC, ${quoteIdentifier(kept.owner)}`,
    ...kept.grants.map(
      ({ grantee, privilege, grantable }) =>
        `GRANT ${privilege} ON DATABASE ${database} TO ${grantee === null ? 'PUBLIC' : quoteIdentifier(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`,
    ),
  ];
}
