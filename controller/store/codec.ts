/** Records as JSON text in the catalogue; sizes are bigint and stand as {"$n":"123"}. */
export function encode(record: unknown): string {
  return JSON.stringify(record, (_key, value: unknown) => (typeof value === 'bigint' ? { $n: String(value) } : value));
}

export function decode(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && '$n' in value ? BigInt(String(value.$n)) : value,
  ) as unknown;
}
