"""A worker for the tests: runs what an Execution service of BuildGrid has, as the protocols say.

    python worker.py --server grpc://127.0.0.1:50051 --directory DIR --log FILE [--hide DIR ...]

It speaks the Remote Workers API (`google.devtools.remoteworkers.v1test2`, Bots) to BuildGrid and
REAPI v2 to its CAS, with BuildGrid's own messages; run it with the Python that has BuildGrid. For
each lease it makes an empty directory, materializes the input root of the action there, makes the
directories above the outputs, and runs the command's argv with exactly the command's variables. It
uploads the outputs that are there, and returns an ActionResult. It knows no cache and no
optimization.

A command sees no file of the client: in a mount namespace of its own there is an empty file system
in the place of each directory of `--hide`. `--no-network` gives it a network namespace, too, which
has no interface.

The log has a line of JSON for each command: argv, env, exit code and the size of the input root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Iterator, List

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as reapi
from buildgrid._protos.google.devtools.remoteworkers.v1test2 import bots_pb2, bots_pb2_grpc
from buildgrid._protos.google.devtools.remoteworkers.v1test2 import worker_pb2 as workers
from buildgrid.server.client.cas import download, upload

# Mounts an empty file system over each directory of the arguments before `--`.
_HIDE = """
while [ "$1" != -- ]; do
  [ ! -d "$1" ] || /bin/mount -t tmpfs -o size=1m tmpfs "$1" || exit 99
  shift
done
shift
exec "$@"
"""
# The server answers in this time, also if there is nothing to do.
_POLL_SECONDS = 20
_log_lock = threading.Lock()


def main() -> None:
    """Work until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--hide", action="append", default=[])
    parser.add_argument("--no-network", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--property", action="append", default=[], help="NAME=value")
    options = parser.parse_args()
    os.makedirs(options.directory, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for number in range(options.threads):
        threading.Thread(target=_work, args=(options, number), daemon=True).start()
    while True:
        time.sleep(3600)


def _work(options: argparse.Namespace, number: int) -> None:
    """One bot: takes one lease at a time."""
    # BuildGrid's client asks for batches that fill a message, and forgets what is around them.
    unlimited = [("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(options.server.partition("://")[2], options=unlimited)
    bots = bots_pb2_grpc.BotsStub(channel)
    device = workers.Device(handle="test")
    for entry in options.property:
        name, _, value = entry.partition("=")
        device.properties.add(key=name, value=value)
    session = bots_pb2.BotSession(
        bot_id=f"{os.getpid()}-{number}",
        status=bots_pb2.OK,
        worker=workers.Worker(devices=[device]),
    )
    while not session.name:
        request = bots_pb2.CreateBotSessionRequest(parent="", bot_session=session)
        try:
            session = bots.CreateBotSession(request, timeout=_POLL_SECONDS, wait_for_ready=True)
        except grpc.RpcError as e:
            print(f"worker: {e.code()} {e.details()}", file=sys.stderr, flush=True)
    while True:
        for lease in session.leases:
            if lease.state != bots_pb2.COMPLETED:
                lease.state = bots_pb2.ACTIVE
        for lease in session.leases:
            if lease.state == bots_pb2.ACTIVE:
                _complete(options, channel, lease)
        request = bots_pb2.UpdateBotSessionRequest(name=session.name, bot_session=session)
        try:
            session = bots.UpdateBotSession(request, timeout=_POLL_SECONDS)
        except grpc.RpcError as e:
            if e.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                print(f"worker: {e.code()} {e.details()}", file=sys.stderr, flush=True)
                time.sleep(0.2)


def _complete(options: argparse.Namespace, channel: grpc.Channel, lease: bots_pb2.Lease) -> None:
    """Run the action of a lease."""
    try:
        lease.result.Pack(_execute(options, channel, _action(channel, lease)))
        lease.status.code = 0
    except Exception as e:
        print(f"worker: {e!r}", file=sys.stderr, flush=True)
        lease.status.code = grpc.StatusCode.INTERNAL.value[0]
        lease.status.message = repr(e)
    lease.state = bots_pb2.COMPLETED


def _action(channel: grpc.Channel, lease: bots_pb2.Lease) -> reapi.Action:
    action, digest = reapi.Action(), reapi.Digest()
    if lease.payload.Unpack(action):
        return action
    lease.payload.Unpack(digest)
    with download(channel) as downloader:
        return downloader.get_message(digest, action)


def _execute(
    options: argparse.Namespace, channel: grpc.Channel, action: reapi.Action
) -> reapi.ActionResult:
    root = tempfile.mkdtemp(dir=options.directory)
    try:
        with download(channel) as downloader:
            command = downloader.get_message(action.command_digest, reapi.Command())
            # The empty directory is an empty message, which is always there.
            if action.input_root_digest.size_bytes:
                downloader.download_directory(action.input_root_digest, root)
        _make_parents(command, root)
        env = {v.name: v.value for v in command.environment_variables}
        done = subprocess.run(
            [*_isolation(options), *command.arguments],
            cwd=os.path.join(root, command.working_directory),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=action.timeout.seconds or None,
            check=False,
        )
        files = [os.path.join(d, f) for d, _, names in os.walk(root) for f in names]
        _note(
            options.log,
            argv=list(command.arguments),
            env=env,
            exit_code=done.returncode,
            files=len(files),
            stderr=done.stderr.decode("utf-8", "replace"),
        )
        return _result(channel, command, root, done)
    finally:
        subprocess.run(["chmod", "-R", "u+w", root], check=False)
        shutil.rmtree(root, ignore_errors=True)


def _isolation(options: argparse.Namespace) -> List[str]:
    if not options.hide and not options.no_network:
        return []
    namespaces = ["unshare", "--mount", *(["--net"] if options.no_network else [])]
    if os.geteuid() != 0:
        namespaces.append("--map-root-user")
    # By its path: the command's PATH is not the worker's.
    namespaces[0] = shutil.which("unshare") or "/usr/bin/unshare"
    return [
        *namespaces,
        "/bin/sh",
        "-c",
        _HIDE,
        "hide",
        *options.hide,
        "--",
    ]


def _outputs(command: reapi.Command) -> Iterator[str]:
    yield from command.output_paths
    yield from command.output_files
    yield from command.output_directories


def _make_parents(command: reapi.Command, root: str) -> None:
    for path in _outputs(command):
        parent = os.path.dirname(os.path.join(root, command.working_directory, path))
        os.makedirs(parent, exist_ok=True)


def _result(
    channel: grpc.Channel,
    command: reapi.Command,
    root: str,
    done: subprocess.CompletedProcess[bytes],
) -> reapi.ActionResult:
    result = reapi.ActionResult(exit_code=done.returncode)
    with upload(channel) as uploader:
        for path in _outputs(command):
            found = os.path.join(root, command.working_directory, path)
            if os.path.isdir(found):
                tree = uploader.upload_tree(found)
                result.output_directories.add(path=path, tree_digest=tree)
            elif os.path.isfile(found):
                executable = bool(os.stat(found).st_mode & stat.S_IXUSR)
                digest = uploader.upload_file(found)
                result.output_files.add(path=path, digest=digest, is_executable=executable)
        result.stdout_digest.CopyFrom(uploader.put_blob(_stream(done.stdout)))
        result.stderr_digest.CopyFrom(uploader.put_blob(_stream(done.stderr)))
    return result


def _stream(content: bytes) -> Any:
    import io

    return io.BytesIO(content)


def _note(log: str, **entry: Any) -> None:
    with _log_lock, open(log, "a") as file:
        file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
