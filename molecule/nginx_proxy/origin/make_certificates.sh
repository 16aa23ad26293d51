#!/bin/sh
# The authority that the tests trust with a certificate for all their names, and two authorities of client
# certificates: the sites' own and a stranger.
#   make_certificates.sh NAME...
set -eu
names=$(printf 'DNS:%s,' "$@")
mkdir -p /etc/asgi-tests
cd /etc/asgi-tests

# authority NAME
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$1" \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

# leaf NAME AUTHORITY SUBJECT EXTENSIONS
leaf() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$3" \
    -keyout "$1.key" -out "$1.csr" 2>/dev/null
  printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n%s\n' "$4" >"$1.extensions"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 30 \
    -extfile "$1.extensions" -out "$1.pem" 2>/dev/null
  rm "$1.csr" "$1.extensions"
}

[ -e authority.pem ] || authority authority
[ -e clients.pem ] || authority clients
[ -e strangers.pem ] || authority strangers
leaf site authority /CN=example.test "$(printf 'extendedKeyUsage=serverAuth\nsubjectAltName=%s' "${names%,}")"
leaf alice clients '/O=Notes/CN=alice' extendedKeyUsage=clientAuth
leaf mallory strangers '/O=Notes/CN=alice' extendedKeyUsage=clientAuth
cat site.pem authority.pem >site-chain.pem
chmod 600 ./*.key
