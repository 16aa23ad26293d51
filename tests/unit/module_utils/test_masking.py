# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an application's words is not shown."""

from __future__ import annotations

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.masking import secrets_in, without_secrets

ENVIRONMENT = """# Managed
API_KEY="hunter2-hunter2"
DATABASE_URL="postgresql://notes:p4ssw0rd@db.example.com/notes"
HOSTS="notes.example.com"
MAIL="smtp://user:mailpass@mail.example.com"
SHORT_TOKEN="abc"
QUOTED_SECRET="a\\"b\\$c\\\\d"
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key hunter2-hunter2 used", "key *** used"),
        ("connecting to postgresql://notes:p4ssw0rd@db.example.com/notes", "connecting to ***"),
        # A driver says it in its own way.
        ("password p4ssw0rd for user notes", "password *** for user notes"),
        ("mailpass", "***"),
        ("host notes.example.com", "host notes.example.com"),
        # In ordinary words there are many such.
        ("abcdef", "abcdef"),
        ('raw a"b$c\\d end', "raw *** end"),
        ("", ""),
    ],
)
def test_secrets_are_hidden(text: str, shown: str) -> None:
    assert without_secrets(text, secrets_in(ENVIRONMENT)) == shown


def test_of_two_secrets_the_longer_is_hidden_whole() -> None:
    secrets = secrets_in('A_KEY="secret"\nB_KEY="secret-and-more"\n')
    assert without_secrets("secret-and-more", secrets) == "***"
