/**
 * YAML configuration, checked whole: every fault is reported at once with its line, and nothing starts on a file with one.
 * An unknown field is a fault: a misspelt setting must not silently mean its default.
 */
import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import type { z } from 'zod';
import { AppError, toAppError } from './errors.ts';

/** @throws AppError INVALID that lists every fault as `file:line: field: what is wrong`. */
export async function readConfig<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw toAppError(error, `read the configuration ${path}`);
  }
  return parseConfig(text, path, schema);
}

export function parseConfig<T extends z.ZodType>(text: string, path: string, schema: T): z.output<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const syntax = document.errors.map((error) => `${path}:${lines.linePos(error.pos[0]).line}: ${firstLine(error.message)}`);
  if (syntax.length > 0) throw invalid(path, syntax);

  const parsed = schema.safeParse(contentOf(document, path) ?? {});
  if (parsed.success) return parsed.data;
  throw invalid(
    path,
    parsed.error.issues.flatMap((issue) => {
      const fields = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
      const message = issue.code === 'unrecognized_keys' ? 'unknown field' : issue.message;
      return fields.map((field) => `${path}:${lineOf(document, lines, field)}: ${field.join('.') || 'the file'}: ${message}`);
    }),
  );
}

/** An alias of nothing, or aliases of aliases that would fill the memory, come to light only here. */
function contentOf(document: Document, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw invalid(path, [`${path}: ${firstLine(error instanceof Error ? error.message : String(error))}`]);
  }
}

function invalid(path: string, faults: readonly string[]): AppError {
  return new AppError('INVALID', `the configuration ${path} has ${faults.length} fault(s):\n  ${faults.join('\n  ')}`, {
    hint: 'Correct every line named, then start again.',
  });
}

/** The line of the field, or of its nearest parent that is there (a missing field has no line of its own). */
function lineOf(document: Document, lines: LineCounter, field: readonly PropertyKey[]): number {
  for (let length = field.length; length > 0; length--) {
    const node: unknown = document.getIn(field.slice(0, length), true);
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)) {
      return lines.linePos(Number(node.range[0])).line;
    }
  }
  return 1;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
