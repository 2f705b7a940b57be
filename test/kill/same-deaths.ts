/**
 * Deaths of equal meaning: what is left behind is as after another one that is in the matrix, so these are done by HOLDFAST_KILL_LONG only.
 * A process that takes its steps one after another is before each as it was after the one before.
 */
import type { Kill } from './steps.ts';

const SAME: readonly RegExp[] = [
  // Before a tool is started, and before what has no name of its own yet is made.
  /^\w+ before (create|spawn) /,
  // It is renamed in the next step: the death before that has the same nameless file.
  /^\w+ after create .*\.tmp$/,
  // The archive comes before the index, and that before the manifest; they go after the manifest, and directories after them.
  /^mn\d before rename LocalBackup\/oms.*(index\.zst|manifest\.json)$/,
  /^mn\d before (rm LocalBackup\/oms.*\.zst|rmdir LocalBackup\/oms.*)$/,
  // What an agent finds at its start it removes, and makes it anew.
  /^\w+ before mkdir (state\/work|LocalBackup\/\.holdfast\/incoming)$/,
  // A restore changes databases and paths in turn: before the first of them it is as after the undo is written, or after the death it undoes.
  /^dn1 before (psql|rename conf|rm conf)/,
  // What the standby's agent does to its vault but take a backup, that of the active does too, by the same code: neither knows which it is.
  /^mn2 \w+ ((rename|rm) state\/journal|(rm|rmdir) LocalBackup\/oms|rename LocalBackup\/\.holdfast\/attempts)/,
  /^mn2 \w+ (mkdir|rm) (state\/work|LocalBackup\/\.holdfast\/incoming)$/,
];

export function isLikeAnother({ daemon, moment, step }: Kill): boolean {
  return SAME.some((same) => same.test(`${daemon} ${moment} ${step}`));
}
