/** One connection to PostgreSQL, which ends whole. */
import { Client } from 'pg';
import type { ClientConfig } from 'pg';

export class CatalogueClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config);
    // What is under way is told by its own promise. While the connection is lent out and idle nobody else listens, and an
    // error without a listener would end the process.
    this.on('error', () => undefined);
    // pg leaves the line open when it gives up for a reason on our side, a password that cannot be read for example, and the
    // server then waits for a minute, and whoever creates or drops a database with it.
    this.connection.on('error', () => this.connection.stream.destroy());
  }
}
