"""HTTP to the admin ports of workers and gateways."""
