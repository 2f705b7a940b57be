/** What may be done to a Holdfast: plain data, so that a history can be made at random, shrunk, printed and repeated. */
import fc from 'fast-check';
import { NODES } from './world.ts';
import type { NodeName } from './world.ts';
import type { Point } from './service.ts';

export interface TaskShape {
  readonly sources: readonly ('OMS' | 'LdapServer')[];
  readonly copies: number;
  /** 0: by hand. */
  readonly periodMinutes: number;
}

export type Action =
  | { readonly kind: 'create' | 'modify'; readonly task: number; readonly shape: TaskShape }
  | { readonly kind: 'run' | 'lock' | 'unlock' | 'deleteTask'; readonly task: number }
  | { readonly kind: 'runSeveral'; readonly tasks: readonly number[] }
  /** Of the open runs, of the sets, of the restores: counted from the newest. */
  | { readonly kind: 'stop' | 'deleteSet' | 'verify' | 'restoreAgain'; readonly which: number }
  | { readonly kind: 'restore'; readonly which: number; readonly all: boolean }
  | { readonly kind: 'killController'; readonly downMs: number }
  | { readonly kind: 'killControllerAt'; readonly write: number; readonly durable: boolean }
  | { readonly kind: 'killAgent'; readonly node: NodeName; readonly downMs: number }
  | { readonly kind: 'cable'; readonly node: NodeName; readonly state: 'cut' | 'stalled'; readonly forMs: number }
  | { readonly kind: 'fill'; readonly node: 'mn1' | 'mn2'; readonly forMs: number }
  | { readonly kind: 'clock'; readonly minutes: number }
  /** To the next due time of a task, and so much later; patient: no sooner than its last start allows. */
  | { readonly kind: 'toDue'; readonly task: number; readonly lateMs: number; readonly patient: boolean }
  | { readonly kind: 'write'; readonly source: 'OMS' | 'LdapServer' }
  | { readonly kind: 'fault'; readonly source: 'OMS' | 'LdapServer'; readonly points: readonly Point[] }
  | { readonly kind: 'pace'; readonly source: 'OMS' | 'LdapServer'; readonly ms: number }
  | { readonly kind: 'rest' };

/** An action, and how long until the next one. */
export interface Step {
  readonly action: Action;
  readonly thenMs: number;
}

const task = fc.nat({ max: 3 });
const which = fc.nat({ max: 5 });
const source = fc.constantFrom('OMS' as const, 'LdapServer' as const);
const node = fc.constantFrom(...NODES);
const downMs = fc.constantFrom(0, 500, 3000, 20_000);
const shape: fc.Arbitrary<TaskShape> = fc.record({
  sources: fc.constantFrom(['OMS'] as const, ['LdapServer'] as const, ['OMS', 'LdapServer'] as const),
  copies: fc.integer({ min: 1, max: 3 }),
  periodMinutes: fc.constantFrom(0, 3, 5, 60),
});

const kind = <K extends Action['kind']>(...kinds: K[]) => fc.constantFrom(...kinds);

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: kind('create'), task, shape }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('modify'), task, shape }) },
  { weight: 10, arbitrary: fc.record({ kind: kind('run'), task }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('runSeveral'), tasks: fc.array(task, { minLength: 2, maxLength: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('lock'), task }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('unlock'), task }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('deleteTask'), task }) },
  { weight: 4, arbitrary: fc.record({ kind: kind('stop'), which }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('deleteSet'), which }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('verify'), which }) },
  { weight: 5, arbitrary: fc.record({ kind: kind('restore'), which, all: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('restoreAgain'), which }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('killController'), downMs }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('killControllerAt'),
      write: fc.integer({ min: 1, max: 12 }),
      durable: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: kind('killAgent'), node, downMs }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: kind('cable'),
      node,
      state: fc.constantFrom('cut' as const, 'stalled' as const),
      forMs: downMs,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('fill'),
      node: fc.constantFrom('mn1' as const, 'mn2' as const),
      forMs: fc.constantFrom(1000, 15_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('clock'), minutes: fc.constantFrom(-2880, -60, -3, -1, 1, 3, 60, 2880) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: kind('toDue'),
      task,
      lateMs: fc.constantFrom(-1000, 200, 60_000, 115_000, 125_000),
      patient: fc.constantFrom(true, false, false),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('write'), source }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: kind('fault'),
      source,
      points: fc.constantFrom<readonly Point[]>(['backup'], ['stage'], ['check'], ['check', 'rollBack']),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('pace'), source, ms: fc.constantFrom(0, 500, 3000) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'rest' } as const) },
);

const thenMs = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.constantFrom(200, 500, 1000) },
  { weight: 3, arbitrary: fc.constantFrom(3000, 8000) },
);

export function history(most: number): fc.Arbitrary<readonly Step[]> {
  return fc.array(fc.record({ action, thenMs }), { minLength: 1, maxLength: most, size: 'max' });
}
