import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { vi } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { createAuthority, issueCertificate } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import type { Notice } from '../../controller/alarms/delivery/channel.ts';

export const never: AbortSignal = new AbortController().signal;

/** Waits for a state, with patience for a machine that has much else to do. */
export function eventually<T>(state: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(state, 10_000);
}

const RAISED = Date.UTC(2026, 10, 24, 2, 13, 5);

const facts = {
  alarm: { id: 12034, name: 'Periodic backup failure', severity: 'major' },
  subject: 'default',
  detail: 'DBService: pg_dump ended with 1: password authentication failed for user "backup" – naïve',
  next: 'See what failed: holdfast run list --task default',
  origin: 'mn1',
  raisedMs: RAISED,
};

export function raised(change: Partial<typeof facts & { id: string }> = {}): Notice {
  return { kind: 'raised', id: 'n-1', ...facts, ...change };
}

export function cleared(change: Partial<typeof facts & { id: string }> = {}): Notice {
  return { kind: 'cleared', id: 'n-2', ...facts, clearedMs: RAISED + 3_600_000, ...change };
}

export interface Place extends AsyncDisposable {
  readonly directory: string;
  /** Writes a file of mode 600 and gives its path. */
  file(name: string, text: string): Promise<string>;
}

export async function openPlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-alarms-'));
  return {
    directory,
    file: async (name, text) => {
      const path = join(directory, name);
      await writeFile(path, text, { mode: 0o600 });
      return path;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** A CA and a certificate for 127.0.0.1, as files. */
export async function openCertificates(place: Place, name: string, hosts = ['127.0.0.1', 'localhost']) {
  const now = systemClock.now();
  const authority: KeyAndCertificate = await createAuthority({ commonName: name, days: 1, now });
  const server = await issueCertificate(authority, {
    commonName: 'receiver',
    role: 'controller',
    hosts,
    days: 1,
    now,
  });
  return {
    ca: await place.file(`${name}.crt`, authority.certPem),
    cert: await place.file(`${name}-server.crt`, server.certPem),
    key: await place.file(`${name}-server.key`, server.keyPem),
    pem: server,
  };
}

/** A logger that keeps its lines. */
export function keepingLogger() {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  return { logger, lines };
}
