/** What to do next about an alarm, for a person who reads nothing else. The commands are to be typed as they stand. */
import { ALARMS } from '#rules/alarms.ts';

interface About {
  readonly id: number;
  readonly subject: string;
}

const ADVICE: Readonly<Record<number, (subject: string) => string>> = {
  [ALARMS.standby.id]: (node) =>
    `Start the agent of ${node}; what is missing there is then copied by itself. See: holdfast agent list`,
  [ALARMS.periodicFailure.id]: (task) =>
    `See which source failed and why: holdfast run list --task ${task}; then: holdfast task run ${task}`,
  [ALARMS.unknownState.id]: (source) =>
    `Do not start what uses ${source}. Follow docs/failures.md: roll-back failed too. See: holdfast restore list`,
  [ALARMS.noThirdParty.id]: () => 'Have a periodic task write to another place than the management nodes.',
  [ALARMS.tooLarge.id]: (source) => `The file is kept. Look whether ${source} should be that large: holdfast space`,
};

export function adviceFor({ id, subject }: About): string {
  return ADVICE[id]?.(subject) ?? 'See what it says, and what else is up: holdfast alarm list; then docs/failures.md, "Alarms"';
}
