-- One row a note that we mean to write, made durable before the request leaves: after a crash this row says that the
-- desk may already have the note. ready: nothing is under way; posting: a request may be taking effect; posted: the note
-- stands. posts counts the requests that may have taken effect, so more than one means that there may be a duplicate.
-- See docs/reliability.md for the protocol.
CREATE TABLE note_posts (
    tenant_id       text        NOT NULL CHECK (tenant_id <> ''),
    enhancement_id  uuid        NOT NULL,
    ticket_id       text        NOT NULL,
    reference       text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('ready', 'posting', 'posted')),
    epoch           bigint      NOT NULL,
    post_started_at timestamptz NOT NULL DEFAULT now(),
    posts           integer     NOT NULL DEFAULT 0 CHECK (posts >= 0),
    content_hash    bytea       NOT NULL DEFAULT '',
    note_id         text        NOT NULL DEFAULT '',
    swept_at        timestamptz,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, enhancement_id),
    FOREIGN KEY (tenant_id, enhancement_id) REFERENCES enhancement_history (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE note_posts IS 'owner: modules/notifier. Intent and result of writing one note.';
-- The sweep looks only at rows that may have left a duplicate or were left behind; nearly none are.
CREATE INDEX note_posts_unsettled ON note_posts (tenant_id, post_started_at) WHERE posts > 1 OR state = 'posting';
ALTER TABLE note_posts ENABLE ROW LEVEL SECURITY;
ALTER TABLE note_posts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON note_posts
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

-- What was learned about a tenant's desk, shared by all workers: the OAuth access token with the lease of the one worker
-- that may refresh it, the envelope the desk takes, and whether it is paused because the credentials were refused.
CREATE TABLE desk_connections (
    tenant_id                text        PRIMARY KEY CHECK (tenant_id <> ''),
    access_token_encrypted   bytea,
    access_token_issued_at   timestamptz,
    access_token_expires_at  timestamptz,
    access_token_lease_until timestamptz,
    note_key                 text        NOT NULL DEFAULT '' CHECK (note_key IN ('', 'note', 'request_note')),
    paused_at                timestamptz,
    pause_reason             text        NOT NULL DEFAULT '',
    next_probe_at            timestamptz,
    last_posted_at           timestamptz,
    updated_at               timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE desk_connections IS 'owner: modules/notifier. Shared state of the connection to a tenant''s desk.';
ALTER TABLE desk_connections ENABLE ROW LEVEL SECURITY;
ALTER TABLE desk_connections FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON desk_connections
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));
