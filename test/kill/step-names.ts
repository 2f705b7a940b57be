/** Names of durable steps: without what differs from run to run. */

/** What lies in the private directory of an assignment is durable for nobody: the next start removes it as a whole. */
export function inSpool(path: string): boolean {
  return /\/state\/work\/./.test(path);
}

/**
 * Tables whose writes belong to no run, restore or deletion: they follow from how things stand, are looked at anew at each pass, and come
 * at times of their own (an agent says Hello again, is away for longer than its lease, a sample of the space is due), so that lists with them would
 * differ from time to time. What a run writes beside them still makes its commit a step.
 */
const NO_PROMISE: ReadonlySet<string> = new Set(['agents', 'alarms', 'alarm_delivery', 'leadership', 'space_samples']);

/** Whether a write of it is kept to when the process dies: only such ones name a commit. */
export function promises(table: string): boolean {
  return !NO_PROMISE.has(table);
}

export function nameOf(path: unknown): string {
  return withoutTimes(String(path))
    .replace(/^.*\/(?=(state|LocalBackup|sources|conf)(\/|$|\.))/, '')
    .replace(/incoming\/\d+$/, 'incoming/N');
}

/** The statements among these that change something which lasts; '' when none does. */
export function changesIn(sql: string): string {
  return sql
    .split(';\n')
    .map((statement) => statement.trim().replaceAll(/\s+/g, ' '))
    .filter((statement) => /^(?:alter|create|drop|grant|revoke|comment|reassign|insert|update|delete)\b/i.test(statement))
    .map((statement) => withoutTimes(statement).slice(0, LONGEST))
    .join('; ');
}

/** Of a statement, enough to tell it from others. */
const LONGEST = 90;

function withoutTimes(text: string): string {
  return text
    .replaceAll(/[rsac]\d{14}-[0-9a-f]+/g, 'ID')
    .replaceAll(/\d{14}/g, 'TIME')
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'HEX');
}
