"""What the gateway answers, whatever carries the question: no gRPC and no message of it is known here."""
