/** Where the parts of a restored slapd go: where they were, or below a directory of the user's choice. */
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import type { LdapFacts } from './facts.ts';
import type { LdapServerSettings } from './settings.ts';

export interface Places {
  /** Whether what runs is replaced. */
  readonly inPlace: boolean;
  readonly config: string;
  readonly tls: string | undefined;
  readonly databaseDirectory: (number: number) => string;
}

export function placesOf(settings: LdapServerSettings, facts: LdapFacts, directory: string | undefined): Places {
  if (directory !== undefined) {
    return {
      inPlace: false,
      config: join(directory, 'slapd.d'),
      tls: facts.hasTls ? join(directory, 'tls') : undefined,
      databaseDirectory: (number) => join(directory, `database-${number}`),
    };
  }
  const directories = new Map(facts.databases.map((database) => [database.number, database.directory]));
  return {
    inPlace: true,
    config: settings.configDirectory,
    tls: facts.hasTls ? settings.tlsDirectory : undefined,
    databaseDirectory(number) {
      const found = directories.get(number);
      if (found === undefined) throw new AppError('DAMAGED', `the backup knows no directory of LDAP database ${number}`);
      return found;
    },
  };
}

/** Every directory that a restore replaces. */
export function allPlaces(places: Places, facts: LdapFacts): string[] {
  return [
    places.config,
    ...facts.databases.map(({ number }) => places.databaseDirectory(number)),
    ...(places.tls === undefined ? [] : [places.tls]),
  ];
}
