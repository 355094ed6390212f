"""One call, from its gRPC method to its status."""
