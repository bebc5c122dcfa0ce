"""A gRPC server of bytes: no messages to be generated. Says on which port it listens."""
from concurrent import futures

import grpc


def turned(request, context):
    context.set_trailing_metadata((("x-trailer", "yes"),))
    return request[::-1]


def missing(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "nothing of that name")


def upper(requests, context):
    for request in requests:
        yield request.upper()


CALLS = {
    "/test.Test/Turned": grpc.unary_unary_rpc_method_handler(turned),
    "/test.Test/Missing": grpc.unary_unary_rpc_method_handler(missing),
    "/test.Test/Upper": grpc.stream_stream_rpc_method_handler(upper),
}


class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        return CALLS.get(details.method)


server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Calls(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
