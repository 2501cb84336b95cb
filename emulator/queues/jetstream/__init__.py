"""A queue engine that keeps queues in a NATS server with JetStream, where sessions on many machines share them."""
