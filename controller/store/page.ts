/** Pages by the number of the last row shown: stable while rows are added. */
import { AppError } from '#common/errors.ts';
import type { Page, PageRequest } from './store.ts';

export function notAToken(token: string): AppError {
  return new AppError('INVALID', `${JSON.stringify(token.slice(0, 100))} is not a page token`, {
    hint: 'Take next_page_token of the page before.',
  });
}

export function seqOf({ token }: PageRequest): number {
  if (!/^\d{1,15}$/.test(token)) {
    throw notAToken(token);
  }
  return Number(token);
}

/** One row more than asked for was read: it tells whether there is another page. */
export function pageOf<Row extends { seq: number }, T>(rows: readonly Row[], page: PageRequest, item: (row: Row) => T): Page<T> {
  const shown = rows.slice(0, page.size);
  return { items: shown.map(item), next: rows.length > page.size ? String(shown.at(-1)?.seq ?? '') : '' };
}
