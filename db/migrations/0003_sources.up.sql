CREATE TABLE ticket_history (
    tenant_id       text        NOT NULL CHECK (tenant_id <> ''),
    ticket_id       text        NOT NULL,
    id              bigint      GENERATED ALWAYS AS IDENTITY,
    subject         text        NOT NULL DEFAULT '',
    description     text        NOT NULL DEFAULT '',
    resolution      text        NOT NULL DEFAULT '',
    resolved_date   timestamptz,
    priority        text        NOT NULL DEFAULT '',
    tags            text[]      NOT NULL DEFAULT '{}',
    account_id      text        NOT NULL DEFAULT '',
    source          text        NOT NULL CHECK (source IN ('import', 'webhook', 'sync')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, ticket_id)
);
COMMENT ON TABLE ticket_history IS 'owner: modules/enhancement/retrieval. Past tickets with their fix.';
CREATE UNIQUE INDEX ticket_history_id ON ticket_history (tenant_id, id);
ALTER TABLE ticket_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE ticket_history FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON ticket_history
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

CREATE TABLE knowledge_articles (
    tenant_id    text        NOT NULL CHECK (tenant_id <> ''),
    article_id   text        NOT NULL,
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    title        text        NOT NULL,
    content      text        NOT NULL,
    url          text        NOT NULL DEFAULT '',
    source       text        NOT NULL CHECK (source IN ('import', 'sync')),
    collection   text        NOT NULL DEFAULT '',
    content_hash bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, article_id)
);
COMMENT ON TABLE knowledge_articles IS 'owner: modules/enhancement/retrieval. The tenant''s documentation.';
COMMENT ON COLUMN knowledge_articles.collection IS 'The folder or feed the article came from; an import removes what is gone from its own collection only.';
CREATE UNIQUE INDEX knowledge_articles_id ON knowledge_articles (tenant_id, id);
ALTER TABLE knowledge_articles ENABLE ROW LEVEL SECURITY;
ALTER TABLE knowledge_articles FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON knowledge_articles
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

-- An article is searched and cited by section, so that a long one is found by the passage that matters.
CREATE TABLE knowledge_sections (
    tenant_id  text    NOT NULL CHECK (tenant_id <> ''),
    article_id text    NOT NULL,
    position   integer NOT NULL,
    id         bigint  GENERATED ALWAYS AS IDENTITY,
    heading    text    NOT NULL DEFAULT '',
    content    text    NOT NULL,
    PRIMARY KEY (tenant_id, article_id, position),
    FOREIGN KEY (tenant_id, article_id) REFERENCES knowledge_articles (tenant_id, article_id) ON DELETE CASCADE
);
COMMENT ON TABLE knowledge_sections IS 'owner: modules/enhancement/retrieval. The sections of an article.';
CREATE UNIQUE INDEX knowledge_sections_id ON knowledge_sections (tenant_id, id);
ALTER TABLE knowledge_sections ENABLE ROW LEVEL SECURITY;
ALTER TABLE knowledge_sections FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON knowledge_sections
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

-- The search index, see docs/retrieval.md. Writers add one row to search_documents and touch nothing that they share;
-- folding gathers such rows into an immutable segment: one row a term in search_postings. Plain equality on text and
-- bigint is leakproof, so the index serves under row-level security.
CREATE TABLE search_documents (
    tenant_id   text    NOT NULL CHECK (tenant_id <> ''),
    pool        text    NOT NULL CHECK (pool IN ('ticket', 'article')),
    document_id bigint  NOT NULL,
    folded      boolean NOT NULL DEFAULT false,
    terms       bytea   NOT NULL,
    PRIMARY KEY (tenant_id, pool, document_id)
);
COMMENT ON TABLE search_documents IS 'owner: modules/enhancement/retrieval. What each document says, as term vectors.';
COMMENT ON COLUMN search_documents.folded IS 'Whether the current terms are in a segment; searches read the others directly.';
ALTER TABLE search_documents ALTER COLUMN terms SET STORAGE EXTERNAL;
CREATE INDEX search_documents_fresh ON search_documents (tenant_id, pool) WHERE NOT folded;
ALTER TABLE search_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE search_documents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON search_documents
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

CREATE TABLE search_segments (
    tenant_id    text    NOT NULL CHECK (tenant_id <> ''),
    pool         text    NOT NULL,
    segment_id   bigint  GENERATED ALWAYS AS IDENTITY,
    documents    integer NOT NULL,
    length       bigint  NOT NULL,
    document_ids bytea   NOT NULL,
    PRIMARY KEY (tenant_id, pool, segment_id)
);
COMMENT ON TABLE search_segments IS 'owner: modules/enhancement/retrieval. Immutable parts of the index, with their documents.';
ALTER TABLE search_segments ALTER COLUMN document_ids SET STORAGE EXTERNAL;
ALTER TABLE search_segments ENABLE ROW LEVEL SECURITY;
ALTER TABLE search_segments FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON search_segments
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

CREATE TABLE search_postings (
    tenant_id  text    NOT NULL CHECK (tenant_id <> ''),
    pool       text    NOT NULL,
    term       bigint  NOT NULL,
    segment_id bigint  NOT NULL,
    documents  integer NOT NULL,
    postings   bytea   NOT NULL,
    PRIMARY KEY (tenant_id, pool, segment_id, term)
);
COMMENT ON TABLE search_postings IS 'owner: modules/enhancement/retrieval. Which documents of a segment have a term, and how strongly.';
ALTER TABLE search_postings ALTER COLUMN postings SET STORAGE EXTERNAL;
ALTER TABLE search_postings ENABLE ROW LEVEL SECURITY;
ALTER TABLE search_postings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON search_postings
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));
