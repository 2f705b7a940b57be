/** What a restore staged, and the steps that put it in place: plain data, so that another process can go on from it. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import { placedSchema, placementSteps } from '../configuration/placement.ts';
import type { UndoRecord } from '../source.ts';
import type { PostgresServer } from './server.ts';
import { databaseSteps, stagedDatabaseSchema } from './switch.ts';

/** All that was staged, as JSON: with it another process can put the old state back. */
const stagedSchema = z.strictObject({
  /** The server's own number, by which it is known at any address; null: no database was staged. */
  system: z.string().nullable(),
  databases: z.array(stagedDatabaseSchema),
  placements: z.array(placedSchema),
  /** Roles that this restore created; they go again when it is undone. */
  roles: z.array(z.string()),
  /** Whether something in use is replaced, so that what depends on it is stopped and started. */
  inPlace: z.boolean(),
});
export type Staged = z.infer<typeof stagedSchema>;

/** In this order; undoing understands a cut after each. */
export function switchSteps(staged: Staged, server: PostgresServer | undefined): (() => Promise<void>)[] {
  return [
    ...(server === undefined ? [] : staged.databases.flatMap((database) => databaseSteps(server, database))),
    ...staged.placements.flatMap(placementSteps),
  ];
}

/** @throws AppError DAMAGED when the record is not one of ours */
export function decodeUndo(undo: UndoRecord): Staged {
  try {
    return stagedSchema.parse(JSON.parse(undo['staged'] ?? ''));
  } catch (error) {
    throw new AppError('DAMAGED', 'put the state before a restore back: the record of it cannot be read', { cause: error });
  }
}

export function encodeUndo(staged: Staged): UndoRecord {
  return { staged: JSON.stringify(staged) };
}
