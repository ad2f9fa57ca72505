"""Apache Kafka behind the ports, with kafka-python."""
