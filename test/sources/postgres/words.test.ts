import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDatabase } from '../../../agent/sources/postgres/database.ts';
import type { KeptDatabase } from '../../../agent/sources/postgres/database.ts';
import { patternExpressions, tablePattern } from '../../../agent/sources/postgres/exclude.ts';
import { besideName, directoryName, isBesideName } from '../../../agent/sources/postgres/names.ts';
import { connectionString, quoteIdentifier, quoteLiteral, settingAssignment } from '../../../agent/sources/postgres/quote.ts';
import { parseToc } from '../../../agent/sources/postgres/toc.ts';

describe('quoting', () => {
  it('keeps quotes and backslashes inside', () => {
    expect(quoteIdentifier('a"b')).toBe('"a""b"');
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral("\\'; DROP")).toBe(String.raw` E'\\''; DROP'`);
    expect(connectionString("a'b\\c host=evil")).toBe(String.raw`dbname='a\'b\\c host=evil'`);
  });

  it('never lets a literal end early', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const body = quoteLiteral(text).replace(/^ E/, '').slice(1, -1);
        expect(body.replaceAll('\\\\', '').replaceAll("''", '')).not.toMatch(/['\\]/);
      }),
    );
  });

  it('gives lists of names as lists, and everything else as one value', () => {
    expect(settingAssignment('search_path="$user", public, "odd, ""schema"""')).toBe(
      `"search_path" TO '$user', 'public', 'odd, "schema"'`,
    );
    expect(settingAssignment('search_path=""')).toBe(`"search_path" TO ''`);
    expect(settingAssignment('my.option=a, b=c')).toBe(`"my.option" TO 'a, b=c'`);
  });
});

describe('names beside a database', () => {
  it('fit into 63 bytes, are told apart and recognised', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 63 }), fc.string({ minLength: 1 }), (name, other) => {
        const made = besideName(name, 'new', '20261124093000');
        expect(Buffer.byteLength(made)).toBeLessThanOrEqual(63);
        expect(isBesideName(made, name, 'new')).toBe(true);
        expect(isBesideName(made, name, 'old')).toBe(false);
        if (other !== name) expect(isBesideName(made, other, 'new')).toBe(false);
      }),
    );
  });

  it('never lead out of the archive as directories, and stay different', () => {
    expect(directoryName('..')).toBe('%2E%2E');
    expect(directoryName('hive_meta-1')).toBe('hive_meta-1');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
        expect(directoryName(name)).toMatch(/^[A-Za-z0-9_%-]+$/);
        expect(decodeURIComponent(directoryName(name))).toBe(name);
      }),
    );
  });
});

describe('table patterns', () => {
  it.each([
    ['t_alarm*', 't_alarm_history', true],
    ['T_ALARM*', 't_alarm', true],
    ['t_alarm*', 'not_t_alarm', false],
    ['t_a?', 't_ab', true],
    ['t_a?', 't_a', false],
    ['a$b', 'a$b', true],
  ])('%s and the table %s: %s', (pattern, table, matches) => {
    const expressions = patternExpressions(tablePattern.parse(pattern));
    expect(new RegExp(expressions.table).test(table)).toBe(matches);
    expect(new RegExp(expressions.schema).test('any')).toBe(true);
  });

  it('keep to the schema they name', () => {
    expect(new RegExp(patternExpressions(tablePattern.parse('oms.t_*')).schema).test('other')).toBe(false);
  });
});

it('counts the objects of a dump by kind, and knows data from definitions', () => {
  const toc = parseToc(
    [
      '; Archive created at 2026-11-24',
      '200; 1259 16386 TABLE public DATA owner',
      '201; 1259 16387 TABLE public other owner',
      '202; 1259 16388 VIEW public v owner',
      '203; 1259 16389 SEQUENCE public s owner',
      '204; 1259 16390 INDEX public i owner',
      '300; 0 0 COMMENT - TABLE other owner',
      '301; 0 0 SEQUENCE SET public s owner',
      '302; 0 16387 TABLE DATA public other owner',
    ].join('\n'),
  );
  expect(toc.relations).toEqual({ TABLE: 2, VIEW: 1, SEQUENCE: 1, 'MATERIALIZED VIEW': 0, 'FOREIGN TABLE': 0 });
  expect(toc.tableData).toEqual([{ file: '302.dat', label: 'public other owner' }]);
  expect(toc.subscriptions).toBe(false);
});

describe('a database made anew', () => {
  const kept: KeptDatabase = {
    name: 'oms',
    owner: 'owner',
    encoding: 'UTF8',
    tablespace: null,
    collate: 'C',
    ctype: 'C',
    localeProvider: 'c',
    locale: null,
    icuRules: null,
    connectionLimit: -1,
    comment: null,
    grants: null,
    settings: [],
    hasPublicSchema: true,
    tablespaces: [],
  };

  it.each([
    ['of libc', kept, 15, ' LOCALE_PROVIDER libc'],
    ['of a server that knew only libc', { ...kept, localeProvider: null }, 15, ' LOCALE_PROVIDER libc'],
    ['of libc, for a server that knows nothing else', kept, 14, ''],
    ['of ICU', { ...kept, localeProvider: 'i', locale: 'de' }, 15, ` LOCALE_PROVIDER icu ICU_LOCALE 'de'`],
    [
      'of the server itself',
      { ...kept, localeProvider: 'b', locale: 'C.UTF-8' },
      17,
      ` LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'`,
    ],
  ])('gets its locale from where it was, whatever the template has: %s', (_what, from, serverMajor, end) => {
    const sql = createDatabase(from, 'made', serverMajor, null);
    expect(sql).toContain(`LC_COLLATE 'C' LC_CTYPE 'C'${end} CONNECTION LIMIT 0`);
  });
});
