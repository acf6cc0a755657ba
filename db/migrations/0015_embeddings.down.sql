DROP TABLE IF EXISTS ticket_embeddings;
DROP FUNCTION add_ticket_embeddings();
