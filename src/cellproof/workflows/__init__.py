"""What puts rooms in a row: one folder a verb, in the order collect, predict, evaluate, train, segment, reproduce."""
