"""Another user of the machine, who tries every socket and file that is named on the standard input, as JSON.

Says, as JSON, what it got: of each port the codes that Ray's methods answer without a token, and the files and Unix
sockets that it could open. Only root may become another user; others try as themselves, and only the ports.
"""

import json
import os
import socket
import sys

import grpc

NOBODY = 65534
METHODS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "InternalKVGcsService/InternalKVKeys",
    "ActorInfoGcsService/GetAllActorInfo",
    "JobInfoGcsService/GetAllJobInfo",
    "NodeManagerService/GetNodeStats",
    "NodeManagerService/RequestWorkerLease",
    "ObjectManagerService/Pull",
    "CoreWorkerService/GetCoreWorkerStats",
    "CoreWorkerService/PushTask",
    "CoreWorkerService/Exit",
)


def become_nobody():
    rpc_codes("127.0.0.1:1"), http_status("127.0.0.1", 1)  # loads modules that another user may not read
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def rpc_codes(address):
    with grpc.insecure_channel(address) as channel:
        return [rpc_code(channel, f"/ray.rpc.{method}") for method in METHODS]


def rpc_code(channel, method):
    try:
        channel.unary_unary(method)(b"", timeout=5)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def http_status(host, port):
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(64).decode("latin-1")[:12]
    except OSError as error:
        return type(error).__name__


def opens(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def connects(path):
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(path)
        except OSError:
            return False
    return True


def main():
    given = json.load(sys.stdin)
    stranger = os.geteuid() == 0
    if stranger:
        become_nobody()
    ports = {port: [*rpc_codes(f"127.0.0.1:{port}"), http_status("127.0.0.1", port)] for port in given["ports"]}
    opened = [path for path in given["files"] if opens(path)] if stranger else []
    connected = [path for path in given["sockets"] if connects(path)] if stranger else []
    json.dump({"ports": ports, "opened": opened, "connected": connected}, sys.stdout)


if __name__ == "__main__":
    main()
