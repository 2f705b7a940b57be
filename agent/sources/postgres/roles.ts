/**
 * The roles that a database needs: owners, grantees, what they are members of and who is member of them. Kept with their
 * password hashes, which are part of the backup's data as pg_dumpall would keep them. A restore creates what is missing;
 * a role that exists keeps its attributes and password.
 */
import { z } from 'zod';
import { quoteIdentifier, quoteLiteral, settingAssignment } from './quote.ts';
import type { PostgresServer } from './server.ts';

const roleSchema = z.strictObject({
  name: z.string(),
  superuser: z.boolean(),
  inherit: z.boolean(),
  createRole: z.boolean(),
  createDatabase: z.boolean(),
  login: z.boolean(),
  replication: z.boolean(),
  bypassRowSecurity: z.boolean(),
  connectionLimit: z.int(),
  /** A hash, as the server keeps it; null: none, or not readable at the backup. */
  passwordHash: z.string().nullable(),
  validUntil: z.string().nullable(),
  /** `name=value`, as ALTER ROLE … SET. */
  settings: z.array(z.string()),
  comment: z.string().nullable(),
});

const membershipSchema = z.strictObject({
  group: z.string(),
  member: z.string(),
  admin: z.boolean(),
  /** From server version 16 on. */
  inherit: z.boolean().nullable(),
  set: z.boolean().nullable(),
});

export const rolesSchema = z.strictObject({ roles: z.array(roleSchema), memberships: z.array(membershipSchema) });
export type Role = z.infer<typeof roleSchema>;
export type Roles = z.infer<typeof rolesSchema>;

/** Only superusers may read password hashes; others get the roles without. */
export async function readRoles(server: PostgresServer, database: string): Promise<Roles> {
  const [catalog, hash] = server.superuser ? ['pg_authid', 'r.rolpassword'] : ['pg_roles', 'null'];
  return server.query(
    database,
    `read the roles of the database ${database}`,
    `with recursive db as (select oid, datdba, datacl from pg_database where datname = current_database()),
    direct as (
      select refobjid as oid from pg_shdepend, db where refclassid = 'pg_authid'::regclass
        and (dbid = db.oid or (classid = 'pg_database'::regclass and objid = db.oid))
      union select datdba from db
      union select (aclexplode(datacl)).grantee from db
      union select setrole from pg_db_role_setting, db where setdatabase = db.oid
      -- The first superuser is not in pg_shdepend.
      union select relowner from pg_class where oid >= 16384
      union select nspowner from pg_namespace where oid >= 16384
      union select proowner from pg_proc where oid >= 16384
      union select typowner from pg_type where oid >= 16384
    ),
    needed as (
      select oid from direct where oid <> 0
      union
      -- Predefined roles and the first superuser (below 16384) exist everywhere: no way through them.
      select case when m.roleid = n.oid then m.member else m.roleid end
      from needed n join pg_auth_members m on n.oid in (m.roleid, m.member)
      where n.oid >= 16384 and m.roleid >= 16384 and m.member >= 16384
    )
    select json_build_object(
      'roles', (select coalesce(json_agg(json_build_object(
          'name', r.rolname, 'superuser', r.rolsuper, 'inherit', r.rolinherit, 'createRole', r.rolcreaterole,
          'createDatabase', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication,
          'bypassRowSecurity', r.rolbypassrls, 'connectionLimit', r.rolconnlimit, 'passwordHash', ${hash},
          'validUntil', r.rolvaliduntil::text,
          'settings', coalesce((select to_json(setconfig) from pg_db_role_setting where setdatabase = 0 and setrole = r.oid), '[]'),
          'comment', shobj_description(r.oid, 'pg_authid')) order by r.rolname), '[]')
        from ${catalog} r where r.oid in (select oid from needed) and r.rolname !~ '^pg_'),
      'memberships', (select coalesce(json_agg(json_build_object(
          'group', pg_get_userbyid(m.roleid), 'member', pg_get_userbyid(m.member), 'admin', m.admin_option,
          'inherit', (to_jsonb(m) ->> 'inherit_option')::boolean, 'set', (to_jsonb(m) ->> 'set_option')::boolean)
          order by pg_get_userbyid(m.roleid), pg_get_userbyid(m.member)), '[]')
        from pg_auth_members m where m.member in (select oid from needed)
          and (m.roleid in (select oid from needed) or m.roleid < 16384)));`,
    rolesSchema,
  );
}

/** All of both; what both hold as the later has it. */
export function mergeRoles(earlier: Roles, later: Roles): Roles {
  const named = new Map([...earlier.roles, ...later.roles].map((role) => [role.name, role]));
  const key = ({ group, member }: Roles['memberships'][number]) => JSON.stringify([group, member]);
  const memberships = new Map([...earlier.memberships, ...later.memberships].map((one) => [key(one), one]));
  return { roles: [...named.values()], memberships: [...memberships.values()] };
}

export async function existingRoles(server: PostgresServer): Promise<ReadonlySet<string>> {
  const names = await server.query(
    server.maintenanceDatabase,
    'list the roles',
    'select json_agg(rolname) from pg_roles;',
    z.array(z.string()),
  );
  return new Set(names);
}

/** Statements that create the roles of `kept` that are not in `existing`, and their memberships. */
export function createMissingRoles(kept: Roles, existing: ReadonlySet<string>, serverMajor: number): string[] {
  const missing = kept.roles.filter(({ name }) => !existing.has(name));
  const created = new Set(missing.map(({ name }) => name));
  return [
    ...missing.flatMap(createRole),
    ...kept.memberships
      .filter(({ group, member }) => created.has(group) || created.has(member))
      .map(
        ({ group, member, ...options }) =>
          `GRANT ${quoteIdentifier(group)} TO ${quoteIdentifier(member)}${grantOptions(options, serverMajor)}`,
      ),
  ];
}

/** For people who restore by hand: every role and membership, as psql reads it. */
export function rolesScript(kept: Roles, serverMajor: number): string {
  const note = '-- Roles that exist already make psql report an error for them; the others are created.\n';
  return (
    note +
    createMissingRoles(kept, new Set(), serverMajor)
      .map((sql) => `${sql};\n`)
      .join('')
  );
}

function createRole(role: Role): string[] {
  const name = quoteIdentifier(role.name);
  const yes = (on: boolean, word: string) => (on ? word : `NO${word}`);
  const options = [
    yes(role.superuser, 'SUPERUSER'),
    yes(role.inherit, 'INHERIT'),
    yes(role.createRole, 'CREATEROLE'),
    yes(role.createDatabase, 'CREATEDB'),
    yes(role.login, 'LOGIN'),
    yes(role.replication, 'REPLICATION'),
    yes(role.bypassRowSecurity, 'BYPASSRLS'),
    `CONNECTION LIMIT ${role.connectionLimit}`,
    ...(role.passwordHash === null ? [] : [`PASSWORD ${quoteLiteral(role.passwordHash)}`]),
    ...(role.validUntil === null ? [] : [`VALID UNTIL ${quoteLiteral(role.validUntil)}`]),
  ];
  return [
    `CREATE ROLE ${name} WITH ${options.join(' ')}`,
    ...role.settings.map((setting) => `ALTER ROLE ${name} SET ${settingAssignment(setting)}`),
    ...(role.comment === null ? [] : [`COMMENT ON ROLE ${name} IS ${quoteLiteral(role.comment)}`]),
  ];
}

function grantOptions(of: { admin: boolean; inherit: boolean | null; set: boolean | null }, serverMajor: number): string {
  if (serverMajor < 16 || of.inherit === null || of.set === null) return of.admin ? ' WITH ADMIN OPTION' : '';
  const word = (on: boolean) => (on ? 'TRUE' : 'FALSE');
  return ` WITH ADMIN ${word(of.admin)}, INHERIT ${word(of.inherit)}, SET ${word(of.set)}`;
}
