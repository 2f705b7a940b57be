/** The way to the controller that leads: each that client.yaml names is asked in turn, and the one that they name is followed. */
import { AppError } from '#common/errors.ts';
import { leaderOf } from '#common/fault-trailer.ts';
import type { TlsFiles } from '#common/tls.ts';
import { dial, isUnreachable } from './line.ts';
import type { Line } from './line.ts';
import type { Terminal } from './terminal.ts';

/** Longer than another controller takes to take over. */
const PATIENCE_MS = 20_000;
const PAUSE_MS = 300;
const ONE = { connectMs: 10_000, keepaliveMs: 15_000 };
/** Where another one may answer meanwhile. */
const OF_MANY = { connectMs: 3000, keepaliveMs: 5000 };

export class Leader {
  readonly #addresses: readonly string[];
  readonly #files: TlsFiles;
  readonly #terminal: Terminal;
  #turn = 0;
  #line: Line | undefined;

  constructor(addresses: readonly string[], files: TlsFiles, terminal: Terminal) {
    this.#addresses = addresses;
    this.#files = files;
    this.#terminal = terminal;
  }

  /** Of the controller that was asked last. */
  get address(): string {
    return this.#line?.address ?? this.#inTurn();
  }

  /**
   * `work` is done again with another controller when one does not lead or cannot be reached: it must be such that this does no harm.
   * Waits while nobody leads; when none can be reached, that is told at once.
   */
  async ask<T>(work: (line: Line) => Promise<T>): Promise<T> {
    const { clock, signal } = this.#terminal;
    const until = clock.monotonic() + PATIENCE_MS;
    const known = new Set(this.#addresses);
    const asked = new Set<string>();
    let address = this.address;
    let silent = 0;
    for (;;) {
      try {
        return await work(await this.#lineTo(address));
      } catch (error) {
        if (!(error instanceof AppError) || !(error.code === 'NOT_LEADER' || isUnreachable(error))) throw error;
        this.close();
        asked.add(address);
        const leader = leaderOf(error);
        if (leader !== undefined) known.add(leader);
        silent = error.code === 'NOT_LEADER' ? 0 : silent + 1;
        if (silent >= known.size || clock.monotonic() > until) throw error;
        if (leader === undefined || leader === address) this.#turn++;
        address = leader !== undefined && leader !== address ? leader : this.#inTurn();
        if (asked.has(address)) await clock.sleep(PAUSE_MS, signal).catch(() => signal.throwIfAborted());
      }
    }
  }

  close(): void {
    this.#line?.client.close();
    this.#line = undefined;
  }

  #inTurn(): string {
    return this.#addresses[this.#turn % this.#addresses.length] ?? '';
  }

  async #lineTo(address: string): Promise<Line> {
    if (this.#line?.address !== address) {
      this.close();
      this.#line = await dial(address, this.#files, this.#terminal, this.#addresses.length > 1 ? OF_MANY : ONE);
    }
    return this.#line;
  }
}
