/**
 * The controller's own catalogue beside what OMS holds. It is never put back by a restore: the controller that is asked to restore
 * would be robbed of what it is doing.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatSize } from '#common/bytes.ts';
import type { RestoreRequest, Source } from '../source.ts';
import { catalogueBytes, copyCatalogue } from './copy.ts';

const DIRECTORY = 'catalogue';
export const CATALOGUE_IN_ARCHIVE = `${DIRECTORY}/catalogue.sqlite`;
/** Of the manifest: that the archive has one, and from where. */
const FACT = 'catalogue';

export function withCatalogue(source: Source, catalogue: string): Source {
  return {
    ...source,

    async prepareBackup(request, io) {
      const prepared = await source.prepareBackup(request, io);
      return {
        estimate: async () => (await prepared.estimate()) + (await catalogueBytes(catalogue)),
        async backup() {
          const { roots, facts } = await prepared.backup();
          const copy = join(io.workDirectory, CATALOGUE_IN_ARCHIVE);
          await mkdir(dirname(copy), { mode: 0o700 });
          await copyCatalogue(catalogue, copy, io.signal);
          io.log('info', `copied the catalogue ${catalogue}: ${formatSize(await catalogueBytes(copy))}`);
          return { roots: [...roots, { from: dirname(copy), as: DIRECTORY }], facts: { ...facts, [FACT]: catalogue } };
        },
        [Symbol.asyncDispose]: () => prepared[Symbol.asyncDispose](),
      };
    },
  };
}

/** Also where no catalogue is configured now: the set may have been made by another machine. */
export function leavingCatalogue(source: Source): Source {
  return {
    ...source,

    async planRestore(request, io) {
      const plan = await source.planRestore(request, io);
      const told = left(request);
      return told === undefined ? plan : { ...plan, steps: [...plan.steps, told] };
    },

    async prepareRestore(request, io) {
      const prepared = await source.prepareRestore(request, io);
      const told = left(request);
      return {
        ...prepared,
        async stage(unpacked) {
          await prepared.stage(unpacked);
          if (told !== undefined) io.log('info', told);
        },
        [Symbol.asyncDispose]: () => prepared[Symbol.asyncDispose](),
      };
    },
  };
}

function left({ facts }: RestoreRequest): string | undefined {
  if (facts[FACT] === undefined) return undefined;
  return `leave the catalogue ${facts[FACT]} of the controller as it is: its copy is ${CATALOGUE_IN_ARCHIVE} in the archive of OMS; docs/restore-by-hand.md says how it is put back`;
}
