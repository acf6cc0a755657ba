-- Vectors of past tickets, for a search by meaning beside the one by words (docs/retrieval.md). They need the type "vector" of
-- the extension pgvector, which an operator installs who wants them: without it there is no table, and nothing else changes.
-- `migrate up` calls the function every time, so that an extension that comes later is found.
CREATE FUNCTION add_ticket_embeddings() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF to_regtype('vector') IS NULL OR to_regclass('ticket_embeddings') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE TABLE ticket_embeddings (
        tenant_id   text        NOT NULL CHECK (tenant_id <> ''),
        document_id bigint      NOT NULL,
        model       text        NOT NULL,
        updated_at  timestamptz NOT NULL,
        embedding   vector      NOT NULL,
        PRIMARY KEY (tenant_id, document_id),
        FOREIGN KEY (tenant_id, document_id) REFERENCES ticket_history (tenant_id, id) ON DELETE CASCADE
    );
    COMMENT ON TABLE ticket_embeddings IS 'owner: modules/enhancement/retrieval. What past tickets mean, as vectors of one model each.';
    COMMENT ON COLUMN ticket_embeddings.updated_at IS 'The ticket''s updated_at when its text was embedded; an older one is embedded again.';
    ALTER TABLE ticket_embeddings ENABLE ROW LEVEL SECURITY;
    ALTER TABLE ticket_embeddings FORCE ROW LEVEL SECURITY;
    CREATE POLICY tenant_isolation ON ticket_embeddings
        USING (tenant_id = current_setting('app.current_tenant_id', true))
        WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));
END $$;
COMMENT ON FUNCTION add_ticket_embeddings() IS 'Makes the table of embeddings where pgvector is there and the table is not.';
REVOKE ALL ON FUNCTION add_ticket_embeddings() FROM PUBLIC;
