"""Open a TLS session with one site, and offer it to another one, as an attacker would who may enter only the first.

tls_session.py '{"first": NAME, "second": NAME, "certificate": NAME or null, "version": "TLSv1_2" or "TLSv1_3"}'

certificate   of /etc/asgi-tests, shown to the first site only

Printed: the status of each answer (null: the connection ended without one), and whether the session was resumed: by
the first site, asked again, and by the second one.
"""

import json
import socket
import ssl
import sys

wanted = json.loads(sys.argv[1])


def context(certificate):
    trust = ssl.create_default_context(cafile="/etc/asgi-tests/authority.pem")
    trust.minimum_version = trust.maximum_version = getattr(ssl.TLSVersion, wanted["version"])
    if certificate:
        trust.load_cert_chain(f"/etc/asgi-tests/{certificate}.pem", f"/etc/asgi-tests/{certificate}.key")
    return trust


def ask(trust, name, session=None):
    plain = socket.create_connection(("127.0.0.1", 443), timeout=10)
    try:
        connection = trust.wrap_socket(plain, server_hostname=name, session=session)
    except ssl.SSLError:
        return None, False, None
    resumed = connection.session_reused
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    try:
        while part := connection.recv(65536):
            answer += part
    except OSError:
        pass
    # TLS 1.3 hands the session out after the handshake: only now is it there.
    session = connection.session
    connection.close()
    return int(answer.split()[1]) if answer else None, resumed, session


# The certificate is in the context, which a session is bound to: the one context shows it to both sites, unless
# the second handshake is the resumption that needs none.
trust = context(wanted["certificate"])
first, _resumed, session = ask(trust, wanted["first"])
again, resumed_again, newer = ask(trust, wanted["first"], session)
second, resumed, _session = ask(trust, wanted["second"], newer or session)
answers = {"first": first, "again": again, "second": second}
print(json.dumps({**answers, "resumed_again": resumed_again, "resumed": resumed}))
