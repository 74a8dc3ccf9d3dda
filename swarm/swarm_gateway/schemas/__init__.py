"""What is sent over HTTP, as types: OpenAPI comes from them. The records of the layers below are used as they are."""
