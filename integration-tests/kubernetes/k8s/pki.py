"""Certificates and kubeconfigs of one cluster, by openssl."""

import os
import subprocess

DAYS = "2"


def _openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")


class Authority:
    """The cluster's CA and what it signed, in one folder."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self._new_key("ca")
        _openssl(
            "req", "-x509", "-new", "-key", self.key("ca"), "-subj", "/CN=weft-k8s", "-days", DAYS,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature", "-out", self.certificate("ca"))  # fmt: skip
        _openssl("genrsa", "-out", self.key("service-accounts"), "2048")

    def key(self, name):
        return f"{self.folder}/{name}.key"

    def certificate(self, name):
        return f"{self.folder}/{name}.crt"

    def _new_key(self, name):
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key(name))

    def sign(self, name, subject, names=()):
        """names: what a server answers to, as openssl writes them (DNS:…, IP:…)."""
        self._new_key(name)
        request = f"{self.folder}/{name}.csr"
        _openssl("req", "-new", "-key", self.key(name), "-subj", subject, "-out", request)
        extensions = f"{self.folder}/{name}.ext"
        with open(extensions, "w", encoding="utf-8") as lines:
            lines.write("extendedKeyUsage=serverAuth,clientAuth\n")
            if names:
                lines.write(f"subjectAltName={','.join(names)}\n")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate("ca"), "-CAkey", self.key("ca"),
            "-CAcreateserial", "-days", DAYS, "-extfile", extensions, "-out", self.certificate(name))  # fmt: skip

    def kubeconfig(self, name, server):
        """Path of a kubeconfig that says who `name` is."""
        path = f"{self.folder}/{name}.kubeconfig"
        with open(path, "w", encoding="utf-8") as lines:
            lines.write(f"""\
apiVersion: v1
kind: Config
clusters: [{{name: weft, cluster: {{server: "{server}", certificate-authority: "{self.certificate("ca")}"}}}}]
users: [{{name: "{name}", user: {{client-certificate: "{self.certificate(name)}", client-key: "{self.key(name)}"}}}}]
contexts: [{{name: weft, context: {{cluster: weft, user: "{name}"}}}}]
current-context: weft
""")
        return path
