"""Those who do tasks without a conversation, and how an executor is found for a type."""
