#!/bin/sh
# The certificate of Pebble's own API (https://localhost:14000), and the authority that clients of the API
# must trust: /etc/pebble/ca.pem. The certificates that Pebble *issues* have another root, new at each start:
# https://localhost:15000/roots/0.
set -eu
cd /etc/pebble
useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin pebble
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=asgi.deploy test API authority' \
  -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout localhost.key -out localhost.csr
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >localhost.ext
openssl x509 -req -in localhost.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
  -extfile localhost.ext -out localhost.pem
rm -f ca.key ca.srl localhost.csr localhost.ext make-certificate.sh
chown pebble localhost.key
chmod 400 localhost.key
