"""Register the keys of certbot's accounts with an ACME server that has forgotten them, and write their new URLs down.

keep_accounts.py SERVER

Run with REQUESTS_CA_BUNDLE where the server's own certificate needs it. Prints the URLs.
"""

import glob
import json
import os
import sys

import josepy
from acme import client, messages

os.environ.setdefault("REQUESTS_CA_BUNDLE", "/etc/pebble/ca.pem")
server = sys.argv[1]
urls = []
for folder in glob.glob("/etc/letsencrypt/accounts/{}/*".format(server.split("//")[1])):
    with open(folder + "/private_key.json") as stream:
        network = client.ClientNetwork(josepy.JWK.json_loads(stream.read()))
    directory = client.ClientV2.get_directory(server, network)
    wanted = messages.NewRegistration.from_data(terms_of_service_agreed=True)
    account = client.ClientV2(directory, network).new_account(wanted)
    with open(folder + "/regr.json", "w") as stream:
        json.dump({"body": {}, "uri": account.uri}, stream)
    urls.append(account.uri)
print(json.dumps(urls))
