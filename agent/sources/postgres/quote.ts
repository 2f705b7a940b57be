/** Quoting for SQL and for connection strings. Every name and value that goes into either passes through here. */

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Right whatever standard_conforming_strings says: a backslash makes it an escape string. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? ` E${quoted}` : quoted;
}

/** A connection string that names only the database: a bare name holding "=" would itself be read as a connection string. */
export function connectionString(database: string): string {
  return `dbname='${database.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}

/** Parameters that hold lists of names: their stored value is a list already quoted, and quoting it whole would make one name of it. */
const LIST_PARAMETERS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** `"name" TO value` from a stored setting `name=value`. */
export function settingAssignment(stored: string): string {
  const at = stored.indexOf('=');
  const name = stored.slice(0, at);
  const value = stored.slice(at + 1);
  const values = LIST_PARAMETERS.has(name.toLowerCase()) ? splitList(value) : [value];
  return `${quoteIdentifier(name)} TO ${values.map(quoteLiteral).join(', ') || "''"}`;
}

function splitList(list: string): string[] {
  return [...list.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)/g)].map(
    ([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? '',
  );
}
