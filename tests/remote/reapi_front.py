"""A REAPI server that hands everything on to another one, notes it, and fails on demand.

Run with the Python of `scripts/buildgrid` by `front.py`, which speaks to it: one JSON object a line
on standard input, one on standard output. No module of the tests imports this one.
"""

# grpc and BuildGrid are not in the environment of the checks.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as re_pb2
from buildgrid._protos.google.bytestream import bytestream_pb2

_READ_BLOBS = "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs"
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


def _about(method: str, request: bytes) -> tuple[str, int]:
    """The digest that a request is about, and its size in bytes; empty if there is not one."""
    if method == "Read":
        parts = bytestream_pb2.ReadRequest.FromString(request).resource_name.split("/")
        return parts[-2], int(parts[-1])
    if method == "Write":
        parts = bytestream_pb2.WriteRequest.FromString(request).resource_name.split("/")
        at = parts.index("blobs")
        return parts[at + 1], int(parts[at + 2])
    if method in ("GetActionResult", "UpdateActionResult"):
        digest = getattr(re_pb2, f"{method}Request").FromString(request).action_digest
        return digest.hash, digest.size_bytes
    if method == "BatchUpdateBlobs":
        requests = re_pb2.BatchUpdateBlobsRequest.FromString(request).requests
        if len(requests) == 1:
            return requests[0].digest.hash, requests[0].digest.size_bytes
    return "", 0


def _damaged(method: str, response: bytes) -> bytes:
    """An answer that is well-formed, or not, and wrong."""
    if method != "Read":
        return b"\xff" * max(len(response), 8)
    read = bytestream_pb2.ReadResponse.FromString(response)
    read.data = bytes(byte ^ 1 for byte in read.data)
    return bytes(read.SerializeToString())


def _missing(request: bytes, min_size: int) -> bytes:
    """The answer that blobs of at least a size are missing."""
    asked = re_pb2.FindMissingBlobsRequest.FromString(request).blob_digests
    missing = [digest for digest in asked if digest.size_bytes >= min_size]
    answer = re_pb2.FindMissingBlobsResponse(missing_blob_digests=missing)
    return bytes(answer.SerializeToString())


class Front(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every method of every service with what the server behind says."""

    def __init__(self, upstream: str) -> None:
        self._channel = grpc.insecure_channel(upstream, _OPTIONS)
        self._lock = threading.Lock()
        self._calls: list[dict[str, Any]] = []
        self._faults: list[dict[str, Any]] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Streams in both directions have the same bytes on the wire as single messages."""
        path = details.method

        def behaviour(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            return self._answer(path, requests, context)

        return grpc.stream_stream_rpc_method_handler(behaviour)

    def control(self, command: dict[str, Any]) -> Any:
        """What `front.py` asks for."""
        with self._lock:
            if command["do"] == "faults":
                self._faults = command["faults"]
                return None
            calls, self._calls = self._calls, [] if command["do"] == "forget" else self._calls
        if command["do"] == "processes":
            return self._processes(command["actions"])
        return calls

    def _fault(self, method: str, size: int) -> dict[str, Any]:
        with self._lock:
            for fault in self._faults:
                if method in fault["methods"] and (
                    method == "FindMissingBlobs" or fault["min_size"] <= size <= fault["max_size"]
                ):
                    return fault
        return {}

    def _answer(
        self, path: str, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        method = path.rpartition("/")[2]
        first = next(requests)
        digest, size = _about(method, first)
        call = {"method": method, "digest": digest, "size": size, "up": 0, "down": 0}
        with self._lock:
            self._calls.append(call)
        call["status"] = "UNFINISHED"
        fault = self._fault(method, size)
        if fault.get("kill"):
            os._exit(1)
        time.sleep(fault.get("delay", 0))
        if fault and method == "FindMissingBlobs":
            call["status"] = "OK"
            yield _missing(first, fault["min_size"])
            return
        if "code" in fault:
            call["status"] = fault["code"]
            context.abort(grpc.StatusCode[fault["code"]], "the test says so")
        try:
            yield from self._forward(path, itertools.chain([first], requests), call, fault)
            call["status"] = "OK"
        except grpc.RpcError as error:
            call["status"] = error.code().name
            context.abort(error.code(), error.details())

    def _forward(
        self, path: str, requests: Iterator[bytes], call: dict[str, Any], fault: dict[str, Any]
    ) -> Iterator[bytes]:
        def counted() -> Iterator[bytes]:
            for request in requests:
                call["up"] += len(request)
                yield request

        for response in self._channel.stream_stream(path)(counted()):
            call["down"] += len(response)
            yield _damaged(call["method"], response) if fault.get("damage") else response

    def _blobs(self, digests: list[Any]) -> list[bytes]:
        request = re_pb2.BatchReadBlobsRequest(digests=digests)
        answer = self._channel.unary_unary(_READ_BLOBS)(request.SerializeToString())
        found = {
            r.digest.hash: r.data
            for r in re_pb2.BatchReadBlobsResponse.FromString(answer).responses
        }
        return [found[digest.hash] for digest in digests]

    def _processes(self, actions: list[tuple[str, int]]) -> list[dict[str, Any]]:
        digests = [re_pb2.Digest(hash=hash_, size_bytes=size) for hash_, size in actions]
        found = [re_pb2.Action.FromString(blob) for blob in self._blobs(digests)]
        commands = self._blobs([action.command_digest for action in found])
        processes = []
        for (hash_, _), action, blob in zip(actions, found, commands):
            command = re_pb2.Command.FromString(blob)
            root = action.input_root_digest
            processes.append(
                {
                    "action": hash_,
                    "argv": list(command.arguments),
                    "env": {v.name: v.value for v in command.environment_variables},
                    "outputs": [*command.output_files, *command.output_directories],
                    "input": f"{root.hash}/{root.size_bytes}",
                }
            )
        return processes


def main(address: str, upstream: str) -> None:
    """Serve until standard input ends."""
    front = Front(upstream)
    server = grpc.server(ThreadPoolExecutor(200), [front], options=_OPTIONS)
    print(json.dumps(server.add_insecure_port(address)), flush=True)
    server.start()
    for line in sys.stdin:
        print(json.dumps(front.control(json.loads(line))), flush=True)
    os._exit(0)


main(*sys.argv[1:])
