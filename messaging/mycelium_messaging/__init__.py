"""RabbitMQ: the topology, the envelope, the connection, what goes out and what comes in."""
