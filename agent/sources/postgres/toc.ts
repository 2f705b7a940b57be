/** The table of contents of a dump, read from `pg_restore --list`: what a restored database is compared with. */

/** Object kinds of a dump and the `pg_class.relkind` they become. */
const RELATION_KINDS = {
  TABLE: ['r', 'p'],
  VIEW: ['v'],
  'MATERIALIZED VIEW': ['m'],
  SEQUENCE: ['S'],
  'FOREIGN TABLE': ['f'],
} as const;
export type RelationKind = keyof typeof RELATION_KINDS;
export const RELATION_KIND_NAMES = Object.keys(RELATION_KINDS) as RelationKind[];

export function relkinds(kind: RelationKind): readonly string[] {
  return RELATION_KINDS[kind];
}

export interface Toc {
  readonly relations: Readonly<Record<RelationKind, number>>;
  readonly tableData: readonly TableData[];
  readonly subscriptions: boolean;
}

export interface TableData {
  /** In the dump's directory; absent where the data went with another table's. */
  readonly file: string;
  /** "schema table owner", line breaks as blanks. */
  readonly label: string;
}

/** The catalogue that holds tables, views and sequences: pg_class. Entries with 0 there are data, grants, comments. */
const PG_CLASS = '1259';
const PG_SUBSCRIPTION = '6100';

/** Lines read `dumpId; catalogue oid KIND schema name owner`. */
export function parseToc(listing: string): Toc {
  const relations: Record<RelationKind, number> = {
    TABLE: 0,
    VIEW: 0,
    'MATERIALIZED VIEW': 0,
    SEQUENCE: 0,
    'FOREIGN TABLE': 0,
  };
  const tableData: TableData[] = [];
  let subscriptions = false;
  for (const line of listing.split('\n')) {
    const match = /^(\d+); (\d+) \d+ (.*)$/.exec(line);
    const [, dumpId, catalogue, rest] = match ?? [];
    if (rest === undefined) continue;
    if (catalogue === PG_CLASS) {
      const kind = RELATION_KIND_NAMES.find((name) => rest.startsWith(`${name} `));
      if (kind !== undefined) relations[kind]++;
    } else if (catalogue === '0' && rest.startsWith('TABLE DATA ')) {
      tableData.push({ file: `${dumpId}.dat`, label: rest.slice('TABLE DATA '.length) });
    } else if (catalogue === PG_SUBSCRIPTION) {
      subscriptions = true;
    }
  }
  return { relations, tableData, subscriptions };
}
