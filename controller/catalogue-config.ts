/** Where the catalogue is: by default in stateDirectory; on PostgreSQL for two controllers. */
import { z } from 'zod';
import { duration } from './duration.ts';

const file = z.string().min(1);

export const catalogueSchema = z
  .strictObject({
    postgres: z
      .strictObject({
        url: z.string().optional().describe('postgresql://user@host:port/database; or the four of them.'),
        host: z.string().min(1).optional().describe('A name, an address, or the directory of a Unix socket.'),
        port: z.int().min(1).max(65535).optional().describe('Its port; 5432.'),
        user: z.string().min(1).optional().describe('The owner of the database.'),
        database: z.string().min(1).optional().describe('Of the catalogue alone; made beforehand, and empty.'),
        passwordFile: file.optional().describe('Mode 600. Not needed where the server asks for none.'),
        tls: z
          .strictObject({
            ca: file.describe("Certificate of the server's CA. Must be given unless the server is on this machine."),
            cert: file.optional().describe('Our certificate, where the server asks for one.'),
            key: file.optional().describe('Its key; mode 600.'),
          })
          .optional(),
        idleInTransaction: duration
          .prefault('5s')
          .describe('After this the server ends a change whose controller was paused within it; a takeover waits for it.'),
      })
      .optional(),
  })
  .prefault({});

type Catalogue = z.infer<typeof catalogueSchema>;

/** With its files as `at` finds them. */
export function catalogueAt({ postgres }: Catalogue, at: (file: string) => string): Catalogue {
  if (postgres === undefined) return {};
  const { passwordFile, tls } = postgres;
  return {
    postgres: {
      ...postgres,
      ...(passwordFile !== undefined && { passwordFile: at(passwordFile) }),
      ...(tls !== undefined && {
        tls: {
          ca: at(tls.ca),
          ...(tls.cert !== undefined && { cert: at(tls.cert) }),
          ...(tls.key !== undefined && { key: at(tls.key) }),
        },
      }),
    },
  };
}
