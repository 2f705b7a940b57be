/** The alarms, by the numbers and names that operators know (12011 to 12057), and ours after them. */
export const ALARMS = {
  standby: { id: 12011, name: 'Active and standby management nodes out of step', severity: 'critical' },
  periodicFailure: { id: 12034, name: 'Periodic backup failure', severity: 'major' },
  unknownState: { id: 12035, name: 'Unknown data status after recovery failure', severity: 'critical' },
  noThirdParty: { id: 12057, name: 'Metadata has no periodic task to a third-party server', severity: 'major' },
  tooLarge: { id: 12058, name: 'Backup file larger than its specification', severity: 'minor' },
  neverRan: { id: 12059, name: 'Task has never been backed up', severity: 'major' },
  overdue: { id: 12060, name: 'Newest good backup is too old', severity: 'critical' },
  paused: { id: 12061, name: 'Task locked for too long', severity: 'minor' },
  spaceRunningOut: { id: 12062, name: 'LocalBackup will run out of space', severity: 'major' },
  agentLost: { id: 12063, name: 'Agent lost', severity: 'major' },
  certificateExpiring: { id: 12064, name: 'Certificate expires soon', severity: 'major' },
  verificationFailed: { id: 12065, name: 'Backup file set failed its verification', severity: 'critical' },
  clockInDoubt: { id: 12066, name: 'Clock in doubt, nothing is deleted', severity: 'major' },
} as const;

export type AlarmKind = keyof typeof ALARMS;

export function alarmOf(id: number): { readonly name: string; readonly severity: string } {
  return Object.values(ALARMS).find((alarm) => alarm.id === id) ?? { name: `Alarm ${id}`, severity: 'major' };
}

/** `specifications`: the largest backup file of each source, of those that have one. A larger one is kept. */
export function isTooLarge(source: string, bytes: bigint, specifications: Readonly<Record<string, bigint>>): boolean {
  const largest = specifications[source];
  return largest !== undefined && bytes > largest;
}
