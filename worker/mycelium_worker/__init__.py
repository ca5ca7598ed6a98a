"""The headless worker: takes tasks from its sources and lets executors, among them a model, do them."""
