"""A client of libnbd that also steers the server: what a user of both would write."""

import socket
import sys

import nbd

uri, control = sys.argv[1:]


def ask(line):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(control)
        stream.sendall(line.encode() + b"\n")
        answer = []
        for reply in stream.makefile():
            reply = reply.rstrip("\n")
            if reply == "ok":
                return answer
            assert not reply.startswith("error:"), reply
            answer.append(reply)


def connect():
    handle = nbd.NBD()
    handle.add_meta_context("base:allocation")
    handle.add_meta_context("qemu:dirty-bitmap:b0")
    handle.connect_uri(uri)
    assert handle.get_structured_replies_negotiated()
    return handle


handle = connect()

# Sixteen requests are under way at once.
buffers = [nbd.Buffer.from_bytearray(bytearray([n] * 4096)) for n in range(16)]
cookies = [handle.aio_pwrite(buffer, 4096 * n) for n, buffer in enumerate(buffers)]
while handle.aio_in_flight() > 0:
    handle.poll(-1)
assert all(handle.aio_command_completed(cookie) for cookie in cookies)
assert handle.pread(65536, 0) == b"".join(bytes([n]) * 4096 for n in range(16))
print("pipelined")

# Data comes in chunks, each with its place; status comes by context.
chunks = []
buffer = handle.pread_structured(
    65536, 4096, lambda data, offset, status, error: chunks.append((offset, len(data), status))
)
assert len(buffer) == 65536
assert chunks == [(4096, 65536, nbd.READ_DATA)], chunks
runs = {}
handle.block_status(1 << 20, 0, lambda name, offset, entries, error: runs.update({name: entries}))
assert runs["base:allocation"][:2] == [65536, 0], runs
assert runs["qemu:dirty-bitmap:b0"] == [65536, 1, (1 << 20) - 65536, 0], runs
handle.pread_structured(65536, 0, lambda *chunk: None, nbd.CMD_FLAG_DF)
handle.zero(4096, 65536, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
handle.cache(4096, 0)
print("structured")

# An error is told with its number.
ask("fault disk0.file error errno=ENOSPC iotype=write when=nth(1)")
try:
    handle.pwrite(b"x" * 512, 0)
    sys.exit("a write that must fail did not")
except nbd.Error as error:
    assert error.errno == "ENOSPC", error
print("broken")

# One request waits, others overtake it.
ask("fault disk0.file break event=read_aio tag=A")
late = nbd.Buffer(512)
cookie = handle.aio_pread(late, 4096)
handle.poll(100)
ask("wait-for A")
handle.pwrite(b"early".ljust(512, b"\0"), 4096)
assert not handle.aio_command_completed(cookie)
ask("resume A")
while not handle.aio_command_completed(cookie):
    handle.poll(-1)
assert late.to_bytearray().startswith(b"early")
print("suspended")

# What was flushed survives; of what was not, everything is lost.
handle.flush()
handle.pwrite(b"lost" * 128, 0)
assert ask("undurable") == ["0+512"]
ask("power-cut lost=all")
try:
    handle.pread(512, 0)
    sys.exit("a connection outlived the power")
except nbd.Error:
    pass
handle = connect()
assert handle.pread(512, 0) == b"\0" * 512
assert handle.pread(5, 4096) == b"early"
handle.shutdown()
print("cut")
print("all held")
