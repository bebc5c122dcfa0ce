"""Calls of each kind: one message, a large one, an error, and a conversation in which each answer is waited for."""
import queue
import sys

import grpc

channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.max_receive_message_length", -1)])
turned = channel.unary_unary("/test.Test/Turned")

answer, call = turned.with_call(b"abc", timeout=15, wait_for_ready=True)
assert answer == b"cba", answer
assert dict(call.trailing_metadata())["x-trailer"] == "yes", call.trailing_metadata()

large = bytes(range(256)) * 8000
assert turned(large, timeout=15) == large[::-1]

try:
    channel.unary_unary("/test.Test/Missing")(b"", timeout=15)
    raise AssertionError("no error")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.NOT_FOUND, error
    assert error.details() == "nothing of that name", error

try:
    channel.unary_unary("/test.Test/Unknown")(b"", timeout=15)
    raise AssertionError("no error")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error

requests = queue.Queue()
answers = channel.stream_stream("/test.Test/Upper")(iter(requests.get, None), timeout=15)
for word in (b"one", b"two", b"three"):
    requests.put(word)
    assert next(answers) == word.upper()
requests.put(None)
assert list(answers) == []
assert answers.code() == grpc.StatusCode.OK, answers

print("all calls answered")
