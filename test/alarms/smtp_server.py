"""An SMTP server of Debian's python3-aiosmtpd, as its configuration: STARTTLS or TLS, users, refused addresses, and a line of JSON a mail."""
import asyncio
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

options = json.loads(sys.argv[1])
# It warns of what the tests are about: passwords without TLS.
logging.disable(logging.WARNING)


class Mailbox:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later@"):
            return "450 4.2.0 greylisted, try again later"
        if address.startswith("stuck@"):
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or options["mode"] == "tls",
            "user": session.auth_data,
            "data": envelope.content.decode("utf-8"),
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, login):
    right = [login.login.decode(), login.password.decode()] == options.get("login")
    return AuthResult(success=right, handled=False, auth_data=login.login.decode())


async def main():
    context = None
    if options["mode"] != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(options["cert"], options["key"])

    def server():
        starttls = options["mode"] == "starttls"
        return SMTP(
            Mailbox(),
            hostname="relay.example.org",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate,
            auth_required=options.get("login") is not None,
            auth_require_tls=starttls,
        )

    listener = await asyncio.get_running_loop().create_server(
        server, "127.0.0.1", options.get("port", 0), ssl=context if options["mode"] == "tls" else None
    )
    print(json.dumps({"port": listener.sockets[0].getsockname()[1]}), flush=True)
    await listener.serve_forever()


asyncio.run(main())
