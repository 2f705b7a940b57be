/** What to do next about an alarm, for a person who reads nothing else. The commands are to be typed as they stand. */
import { ALARMS } from '#rules/alarms.ts';
import type { AlarmKind } from '#rules/alarms.ts';

interface About {
  readonly id: number;
  readonly subject: string;
}

const ADVICE: Readonly<Record<(typeof ALARMS)[AlarmKind]['id'], (subject: string) => string>> = {
  [ALARMS.standby.id]: (node) =>
    `Start the agent of ${node}; what is missing there is then copied by itself. See: holdfast agent list`,
  [ALARMS.periodicFailure.id]: (task) =>
    `See which source failed and why: holdfast run list --task ${task}; then: holdfast task run ${task}`,
  [ALARMS.unknownState.id]: (source) =>
    `Do not start what uses ${source}. Follow docs/failures.md: roll-back failed too. See: holdfast restore list`,
  [ALARMS.noThirdParty.id]: () => 'Have a periodic task write to another place than the management nodes.',
  [ALARMS.tooLarge.id]: (source) =>
    `The file is kept. Look whether ${source} should be that large; if so, raise defaultTask.specifications.${source} in controller.yaml`,
  [ALARMS.neverRan.id]: (task) =>
    `See why it did not run, or failed: holdfast run list --task ${task}; then: holdfast task run ${task}`,
  [ALARMS.overdue.id]: (task) =>
    `See why its runs failed or were skipped: holdfast run list --task ${task}; then: holdfast task run ${task}`,
  [ALARMS.paused.id]: (task) => `Unlock it when it is to run again: holdfast task unlock ${task}`,
  [ALARMS.spaceRunningOut.id]: (node) =>
    `See holdfast space; then enlarge the partition of ${node}, or lower the copies of tasks: holdfast set prune --dry-run tells what goes`,
  [ALARMS.agentLost.id]: (node) => `Start the agent of ${node}; if the node is gone for good: holdfast agent forget ${node}`,
  [ALARMS.certificateExpiring.id]: (who) =>
    who === 'controller'
      ? 'Renew the certificate of the controller, or that of its CA, whichever ends; then restart the controller'
      : `Renew the certificate of ${who}, put it where its agent.yaml says, and restart that agent`,
  [ALARMS.verificationFailed.id]: (set) =>
    `Test the disk of the vault named. A good copy in the other vault replaces the damaged one: see holdfast set show ${set}, then holdfast set verify ${set}. If there is none, back up again`,
  [ALARMS.clockInDoubt.id]: () =>
    'Set the clocks of the management nodes right and keep NTP running on them. Backups go on; nothing is deleted meanwhile',
};

export function adviceFor({ id, subject }: About): string {
  const known: Readonly<Record<number, (subject: string) => string>> = ADVICE;
  return known[id]?.(subject) ?? 'See what it says, and what else is up: holdfast alarm list; then docs/failures.md, "Alarms"';
}
