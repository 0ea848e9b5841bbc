"""Collections on a search server: what Elasticsearch and OpenSearch have in common."""
