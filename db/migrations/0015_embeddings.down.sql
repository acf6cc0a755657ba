DROP TABLE IF EXISTS ticket_embeddings;
