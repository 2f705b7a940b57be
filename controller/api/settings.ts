/** Every setting in force, with its default and its meaning, from the one schema that the configuration file is checked with. */
import { z } from 'zod';
import { formatSize } from '#common/bytes.ts';
import type { Setting } from '#common/gen/holdfast/v1/admin.ts';
import { controllerConfigSchema } from '../config.ts';
import { durationText } from '../duration.ts';
import type { ControllerConfig } from '../config.ts';

const node = z.looseObject({
  description: z.string().optional(),
  default: z.unknown().optional(),
  get properties() {
    return z.record(z.string(), node).optional();
  },
});
type Node = z.infer<typeof node>;

export function settingsOf(config: ControllerConfig): Setting[] {
  const schema = z.toJSONSchema(controllerConfigSchema, { io: 'input', unrepresentable: 'any' });
  return [...leaves('', node.parse(schema), config)];
}

function* leaves(
  name: string,
  { properties, description = '', default: initial, type }: Node,
  value: unknown,
): Generator<Setting> {
  if (properties === undefined) {
    // What is written as text and is a number inside is a duration.
    const shown = type === 'string' && typeof value === 'number' ? durationText(value) : textOf(value);
    return yield { name, value: shown, defaultValue: textOf(initial), meaning: description };
  }
  const values = new Map<string, unknown>(Object.entries(value ?? {}));
  for (const [key, child] of Object.entries(properties)) {
    yield* leaves(name === '' ? key : `${name}.${key}`, child, values.get(key));
  }
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'bigint') return formatSize(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
