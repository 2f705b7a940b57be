/** The alarms of the product, by the numbers and names that its operators know. */
export const ALARMS = {
  standby: { id: 12011, name: 'Active and standby management nodes out of step', severity: 'critical' },
  periodicFailure: { id: 12034, name: 'Periodic backup failure', severity: 'major' },
  unknownState: { id: 12035, name: 'Unknown data status after recovery failure', severity: 'critical' },
  noThirdParty: { id: 12057, name: 'Metadata has no periodic task to a third-party server', severity: 'major' },
  tooLarge: { id: 12058, name: 'Backup file larger than its specification', severity: 'minor' },
} as const;

export type AlarmKind = keyof typeof ALARMS;

export function alarmOf(id: number): { readonly name: string; readonly severity: string } {
  return Object.values(ALARMS).find((alarm) => alarm.id === id) ?? { name: `Alarm ${id}`, severity: 'major' };
}

/** Specifications of `default`: one file at most 10 MB / 20 MB / 100 MB / 1.5 GB. Documented; a larger one is kept. */
const LARGEST_FILE: Readonly<Record<string, bigint>> = {
  OMS: 10_000_000n,
  LdapServer: 20_000_000n,
  DBService: 100_000_000n,
  NameNode: 1_500_000_000n,
};

export function isTooLarge(source: string, bytes: bigint): boolean {
  const largest = LARGEST_FILE[source];
  return largest !== undefined && bytes > largest;
}
