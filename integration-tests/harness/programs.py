"""Unmodified servers, started inside a pod with a config made here."""

import glob
import os
import shutil
import signal

from .peers import peer as peer_script
from .poll import wait_for

__all__ = ["apache", "http_server", "nginx", "peer_script", "postgres", "redis", "script"]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def folder(pod, name, owner=None):
    path = os.path.join(pod.directory, name)
    os.makedirs(path, exist_ok=True)
    if owner:
        shutil.chown(path, owner, owner)
    return path


def nginx(pod, port, servers="", http="", workers=1):
    """Serves the folder …/nginx-PORT/www; `servers`: extra lines of the server block."""
    home = folder(pod, f"nginx-{port}")
    os.makedirs(f"{home}/www", exist_ok=True)
    os.makedirs(f"{home}/tmp", exist_ok=True)
    config = write(
        f"{home}/nginx.conf",
        f"""
user root;
worker_processes {workers};
daemon off;
pid {home}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {home}/tmp/body;
    proxy_temp_path {home}/tmp/proxy;
    fastcgi_temp_path {home}/tmp/fastcgi;
    uwsgi_temp_path {home}/tmp/uwsgi;
    scgi_temp_path {home}/tmp/scgi;
    sendfile on;
    keepalive_requests 1000000;
    client_max_body_size 0;
    {http}
    server {{
        listen 0.0.0.0:{port} backlog=4096;
        listen [::]:{port} backlog=4096;
        root {home}/www;
        {servers}
    }}
}}
""",
    )
    process = pod.spawn(["nginx", "-e", "stderr", "-p", home, "-c", config])
    process.www = f"{home}/www"
    pod.wait_port(port, process)
    return process


def apache(pod, port, lines=""):
    """Apache with mpm_event and CGI; serves …/apache-PORT/www."""
    home = folder(pod, f"apache-{port}")
    os.makedirs(f"{home}/www", exist_ok=True)
    modules = "/usr/lib/apache2/modules"
    names = ["mpm_event", "authz_core", "dir", "alias", "env", "cgid", "setenvif", "mime"]
    loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in names)
    config = write(
        f"{home}/apache.conf",
        f"""
{loads}
ServerRoot {home}
ServerName weft-test
PidFile {home}/apache.pid
DefaultRuntimeDir {home}
ScriptSock {home}/cgi.sock
Listen 0.0.0.0:{port}
Listen [::]:{port}
ErrorLog /dev/stderr
User www-data
Group www-data
StartServers 1
KeepAlive On
MaxKeepAliveRequests 0
TypesConfig /etc/mime.types
DocumentRoot {home}/www
<Directory />
    Require all granted
</Directory>
{lines}
""",
    )
    os.chmod(home, 0o755)
    process = pod.spawn(["apache2", "-d", home, "-f", config, "-DFOREGROUND"])
    process.www = f"{home}/www"
    pod.wait_port(port, process)
    return process


def redis(pod, port):
    home = folder(pod, f"redis-{port}")
    process = pod.spawn(
        ["redis-server", "--port", port, "--bind", "0.0.0.0", "--protected-mode", "no",
         "--save", "", "--appendonly", "no", "--dir", home]
    )  # fmt: skip
    pod.wait_port(port, process)
    return process


def postgres(pod, port):
    """A cluster of its own, by initdb; trusts everybody."""
    binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    home = folder(pod, f"postgres-{port}", "postgres")
    data = f"{home}/data"
    pod.run(
        [f"{binaries}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8"],
        user="postgres",
        seconds=60,
        cwd=home,
    )
    with open(f"{data}/pg_hba.conf", "a", encoding="utf-8") as rules:
        rules.write("host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n")
    process = pod.spawn(
        [f"{binaries}/postgres", "-D", data, "-p", port, "-h", "0.0.0.0", "-k", home,
         "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=50"],
        user="postgres",
        cwd=home,
    )  # fmt: skip
    process.wait_log("database system is ready")
    plain_stop = process.stop
    process.stop = lambda number=signal.SIGINT, seconds=10: plain_stop(number, seconds)
    return process


def http_server(pod, port, files=None):
    """Python's own http.server."""
    home = folder(pod, f"python-{port}")
    for name, text in (files or {}).items():
        write(f"{home}/{name}", text)
    process = pod.spawn(["/usr/bin/python3", "-u", "-m", "http.server", port, "--bind", "0.0.0.0"], cwd=home)
    process.www = home
    pod.wait_port(port, process)
    return process


def script(pod, path, *arguments, port=None, env=None):
    """A peer script in the background; with a port: until it listens."""
    process = pod.spawn(["/usr/bin/python3", "-u", path, *arguments], env=env)
    if port:
        pod.wait_port(port, process)
    return process


def wait_exit(process, seconds=30):
    wait_for(lambda: not process.is_running(), f"{process.argv[0]} to end", seconds)
    return process.popen.returncode
