/** Names of durable steps: without what differs from run to run. */

/** What lies in the private directory of an assignment is durable for nobody: the next start removes it as a whole. */
export function inSpool(path: string): boolean {
  return /\/state\/work\/./.test(path);
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
