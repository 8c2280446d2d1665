"""A program that uses requests: keep-alive in a session, JSON and streamed uploads."""

import hashlib
import json
import sys

import requests
from urllib3.connection import HTTPConnection

base = sys.argv[1]
connections = 0
plain_connect = HTTPConnection.connect


def counting_connect(self):
    global connections
    connections += 1
    plain_connect(self)


HTTPConnection.connect = counting_connect

with requests.Session() as session:
    gets = sum(session.get(base + "/").text == "hello" for _ in range(20))
    body = bytes(range(256)) * 4000
    answers = [
        session.post(base + "/digest", data=body).text,
        session.post(base + "/digest", data=(body[at : at + 5000] for at in range(0, len(body), 5000))).text,
    ]
    wanted = f"POST {len(body)} {hashlib.sha256(body).hexdigest()}"
    codes = [session.delete(base + "/status/204").status_code]
print(json.dumps({"gets": gets, "posts": answers.count(wanted), "codes": codes, "connections": connections}))
