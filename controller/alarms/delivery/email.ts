/**
 * Mail by SMTP, to one address. Several addresses are several channels: a relay that refuses one or defers it says so of that one alone, and
 * a second attempt is made for nobody else.
 */
import { createTransport } from 'nodemailer';
import type { NodemailerError, SMTPTransportOptions } from 'nodemailer';
import { withTimeout } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { ErrorCode } from '#common/errors.ts';
import { readSecret } from '#common/secrets.ts';
import type { Channel, Notice } from './channel.ts';
import type { EmailConfig } from './config.ts';
import { mailText } from './mail-text.ts';
import { certificateFault, peerTls } from './peer.ts';

/** "Authentication required": refuses us, not this mail. */
const NO_LOGIN = 530;

export function emailChannels(config: EmailConfig): Channel[] {
  return config.to.map((address) => ({
    name: `email/${config.name}/${address}`,
    deliver: async (notice: Notice, stopped: AbortSignal) => {
      const signal = withTimeout(config.timeout, stopped);
      const doing = `mail ${address} by ${config.host}:${config.port}`;
      try {
        await send(config, address, notice, signal);
      } catch (error) {
        // The library reports any abort alike: the signal knows whether it was the time-out.
        if (signal.aborted) throw toAppError(signal.reason, doing);
        throw certificateFault(error, doing) ?? smtpError(error, doing);
      }
    },
  }));
}

async function send(config: EmailConfig, address: string, notice: Notice, signal: AbortSignal): Promise<void> {
  const transport = createTransport(await transportOptions(config));
  try {
    const { subject, text, messageId, inReplyTo } = mailText(notice);
    await transport.sendMail({
      from: config.from,
      to: address,
      subject,
      text,
      messageId,
      ...(inReplyTo === undefined ? {} : { inReplyTo, references: inReplyTo }),
      priority: notice.kind === 'raised' && notice.alarm.severity === 'critical' ? 'high' : 'normal',
      // No holiday replies to this.
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  } finally {
    transport.close();
  }
}

async function transportOptions(config: EmailConfig): Promise<SMTPTransportOptions> {
  const { host, port, security, timeout, login } = config;
  return {
    host,
    port,
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    tls: await peerTls(config.ca),
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    socketCloseTimeout: 0,
    ...(login === undefined ? {} : { auth: { user: login.user, pass: await readSecret(login.passwordFile) } }),
  };
}

function smtpError(caught: unknown, doing: string): AppError {
  const error = toAppError(caught, doing);
  if (caught instanceof AppError || !(caught instanceof Error)) return error;
  const { code, permanent, responseCode }: NodemailerError = caught;
  const of = (told: ErrorCode, hint?: string) =>
    new AppError(told, error.message, { cause: caught, ...(hint === undefined ? {} : { hint }) });
  if (code === 'ETLS') return of('INVALID', 'The relay offers no TLS that we can use: set `security` to what it offers.');
  // Deferred by the relay, and what was never answered.
  if (permanent === false) return of('UNAVAILABLE');
  if (code === 'EAUTH' || code === 'ENOAUTH' || responseCode === NO_LOGIN) {
    return of('UNAUTHENTICATED', 'Correct user and password file of this channel; test with: holdfast alarm test');
  }
  switch (code) {
    case 'EENVELOPE':
    case 'EMESSAGE':
      return of('REFUSED', 'The relay refuses sender or recipient: correct `from` or `to`; test with: holdfast alarm test');
    default:
      return of('UNAVAILABLE');
  }
}
