/** A webhook: one POST of JSON a notice (see alertmanager.ts), over HTTPS unless told otherwise. Any answer of 2xx is "taken". */
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { withTimeout } from '#common/clock.ts';
import type { ErrorCode } from '#common/errors.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { readSecret } from '#common/secrets.ts';
import { PRODUCT_VERSION } from '#common/version.ts';
import { alertmanagerWebhook } from './alertmanager.ts';
import type { Channel } from './channel.ts';
import type { WebhookConfig } from './config.ts';
import { certificateFault, peerTls } from './peer.ts';

/** Of an answer that refuses, so much is quoted; the rest is not read. */
const QUOTED_BYTES = 300;

export function webhookChannel(config: WebhookConfig): Channel {
  const name = `webhook/${config.name}`;
  return {
    name,
    deliver: async (notice, stopped) => {
      const doing = `post to ${withoutSecrets(config.url)}`;
      try {
        const body = JSON.stringify(alertmanagerWebhook(notice, config.name));
        await post(config, body, doing, withTimeout(config.timeout, stopped));
      } catch (error) {
        throw certificateFault(error, doing) ?? networkError(error, doing);
      }
    },
  };
}

async function post(config: WebhookConfig, body: string, doing: string, signal: AbortSignal): Promise<void> {
  const token = config.bearerTokenFile === undefined ? undefined : await readSecret(config.bearerTokenFile);
  const dispatcher = new Agent({ connect: { ...(await peerTls(config.ca)) } });
  try {
    const response = await request(config.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': `holdfast/${PRODUCT_VERSION}`,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body,
      dispatcher,
      signal,
    });
    // Redirects are not followed: the token would go to somebody else.
    const { statusCode } = response;
    if (statusCode >= 200 && statusCode < 300) return;
    throw new AppError(codeOf(statusCode), `${doing}: answered ${statusCode}: ${await firstBytes(response.body)}`, {
      hint: 'Look into the log of the receiver; test with: holdfast alarm test',
    });
  } finally {
    await dispatcher.destroy();
  }
}

/** What the receiver says of this notice (permanent), of us (a person must act), or of itself (passing). */
function codeOf(statusCode: number): ErrorCode {
  switch (statusCode) {
    case 401:
    case 407:
      return 'UNAUTHENTICATED';
    case 403:
      return 'FORBIDDEN';
    // A wrong address, or a proxy whose service is just being replaced.
    case 404:
    case 405:
    case 410:
      return 'NOT_FOUND';
    case 408:
    case 421:
    case 425:
    case 429:
      return 'UNAVAILABLE';
    default:
      if (statusCode >= 500) return 'UNAVAILABLE';
      return statusCode >= 400 ? 'REFUSED' : 'INVALID';
  }
}

async function firstBytes(body: Dispatcher.ResponseData['body']): Promise<string> {
  let text = Buffer.alloc(0);
  for await (const chunk of body) {
    text = Buffer.concat([text, chunk as Buffer]);
    if (text.length >= QUOTED_BYTES) break;
  }
  return text.subarray(0, QUOTED_BYTES).toString('utf8').replaceAll(/\s+/g, ' ').trim();
}

function networkError(error: unknown, doing: string): AppError {
  const told = toAppError(error, doing);
  // undici's own codes (UND_ERR_SOCKET and the like), DNS: the other side could not be reached.
  return told.code === 'FAILED' ? new AppError('UNAVAILABLE', told.message, { cause: error }) : told;
}

/** Chat services put their key into path or query: the host alone goes into logs. */
function withoutSecrets(url: string): string {
  return new URL(url).origin;
}
