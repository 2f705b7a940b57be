import { expect, test } from 'vitest';
import { Assign } from '#common/gen/holdfast/v1/agent.ts';
import type { Source } from '#common/gen/holdfast/v1/types.ts';
import { jobOf } from '../../agent/session/from-proto.ts';

const backupOf = (kind: NonNullable<Source['kind']>) =>
  jobOf(Assign.fromPartial({ assignmentId: 'b1', work: { $case: 'backup', value: { source: { kind } } } })).work;

test('what a task narrows its sources to comes to them', () => {
  expect(backupOf({ $case: 'nameNode', value: { nameService: 'ns1' } })).toMatchObject({
    source: 'NameNode',
    request: { nameService: 'ns1', databases: [] },
  });
  expect(backupOf({ $case: 'dbService', value: { databases: ['hue'] } })).toMatchObject({
    source: 'DBService',
    request: { nameService: '', databases: ['hue'] },
  });
});

test('work that this version does not know is refused by name, and what is missing too', () => {
  expect(() => jobOf(Assign.fromPartial({ assignmentId: 'b1' }))).toThrow('does not know the kind of work of b1');
  expect(() => jobOf(Assign.fromPartial({ work: { $case: 'backup', value: {} } }))).toThrow('names no source');
  expect(() => jobOf(Assign.fromPartial({ work: { $case: 'backup', value: { source: {} } } }))).toThrow('the data source of');
});
