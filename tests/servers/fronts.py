"""nginx and HAProxy: their configurations, and how they run.

An entrance is a port of a proxy that leads to a server. Its kind says how:

http     by HTTP; the client's address is in X-Forwarded-For
https    the same, with TLS between the client and the proxy
brief    the same as http, but a connection on which nothing is sent for 4 s is cut
renamed  the same as http, but the server sees another Host than the client has sent
v1, v2   byte for byte; the client's address is in a PROXY header of this version
"""
import asyncio
import os
import pwd

from processes import Process, folder_of, free_port, listens, write

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


class Front(Process):
    """A proxy. Its entrances are added before it starts; `ports` has the port of each by its name."""

    def __init__(self, folder, certificate):
        self.at = folder_of(folder, self.name)
        self.certificate = certificate
        self.entrances, self.ports = [], {}
        super().__init__()

    def add(self, name, kind, to):
        """Adds an entrance to a server, which is at an address or at the path of a Unix socket."""
        self.ports[name] = free_port()
        self.entrances.append((kind, self.ports[name], to))

    async def start(self):
        self.command = self.configured()
        await super().start()
        for _ in range(300):
            if all(map(listens, self.ports.values())):
                return self
            if self.process.returncode is not None:
                break
            await asyncio.sleep(0.1)
        raise RuntimeError("%s does not listen: %r" % (self.name, self.said.lines))

    async def kill(self):
        """Asks it to end first, because nginx has a second process."""
        if self.process and self.process.returncode is None:
            self.process.terminate()
            try:
                await self.ended(10)
            except AssertionError:
                await super().kill()


class Nginx(Front):
    name = "nginx"

    @staticmethod
    def kinds():
        """Returns the kinds of entrances that it can have. It writes no PROXY header of version 2."""
        streams = ["v1"] if os.path.exists(STREAM_MODULE) else []
        return ["http", "https", "brief", "renamed", *streams]

    def configured(self):
        cert, key = self.certificate
        sites = {
            "http": ("", ""),
            "https": (" ssl", "ssl_certificate %s; ssl_certificate_key %s;" % (cert, key)),
            "brief": ("", "proxy_read_timeout 4s;"),
            "renamed": ("", ""),
        }
        http, streams = [], []
        for kind, port, to in self.entrances:
            to = "unix:" + to if to.startswith("/") else to
            if kind == "v1":
                streams.append("server { listen 127.0.0.1:%d; proxy_pass %s; proxy_protocol on; }" % (port, to))
            else:
                tls, options = sites[kind]
                host = "elsewhere.test" if kind == "renamed" else "$http_host"
                http.append("server { listen 127.0.0.1:%d%s; %s location / { proxy_pass http://%s; %s } }"
                            % (port, tls, options, to, FIELDS % host))
        folders = "".join("%s_temp_path %s/%s; " % (what, self.at, what)
                          for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user %s;" % pwd.getpwuid(os.getuid()).pw_name if os.getuid() == 0 else ""
        module = "load_module %s;" % STREAM_MODULE if streams else ""
        stream = "stream {\n%s\n}" % "\n".join(streams) if streams else ""
        config = write(os.path.join(self.at, "nginx.conf"), NGINX % {
            "module": module, "user": user, "at": self.at, "folders": folders, "http": "\n".join(http), "stream": stream})
        return ["nginx", "-e", os.path.join(self.at, "errors"), "-c", config]


FIELDS = """
    proxy_set_header Host %s;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
"""

NGINX = """\
%(module)s
%(user)s
daemon off;
worker_processes 1;
pid %(at)s/pid;
events { worker_connections 1024; }
http {
    access_log off;
    %(folders)s
    proxy_http_version 1.1;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
%(http)s
}
%(stream)s
"""


class HAProxy(Front):
    name = "HAProxy"

    @staticmethod
    def kinds():
        return ["http", "https", "brief", "v1", "v2"]

    def configured(self):
        both = os.path.join(self.at, "both.pem")
        texts = []
        for name in self.certificate:
            with open(name, encoding="ascii") as f:
                texts.append(f.read())
        write(both, "".join(texts))
        sites = {
            "http": ("", "option forwardfor", ""),
            "https": (" ssl crt %s" % both, "option forwardfor", ""),
            "brief": ("", "option forwardfor\n    timeout tunnel 4s", ""),
            "v1": ("", "mode tcp", " send-proxy"),
            "v2": ("", "mode tcp", " send-proxy-v2"),
        }
        config = HAPROXY
        for kind, port, to in self.entrances:
            tls, options, sends = sites[kind]
            config += "listen at-%d\n    bind 127.0.0.1:%d%s\n    %s\n    server only %s%s\n" % (port, port, tls, options, to, sends)
        return ["haproxy", "-db", "-f", write(os.path.join(self.at, "haproxy.cfg"), config)]


HAPROXY = """\
global
    maxconn 1000
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
"""
