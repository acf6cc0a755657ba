-- One row a tenant and kind of feed: how far it has come, who holds it, and how its last run ended.
CREATE TABLE feed_state (
    tenant_id       text        NOT NULL CHECK (tenant_id <> ''),
    kind            text        NOT NULL CHECK (kind IN ('tickets', 'solutions', 'reconcile')),
    since           timestamptz,
    cursor_at       timestamptz,
    lease           uuid,
    lease_until     timestamptz NOT NULL DEFAULT '-infinity',
    last_run_at     timestamptz,
    last_success_at timestamptz,
    last_result     text        NOT NULL DEFAULT '' CHECK (last_result IN ('', 'running', 'ok', 'partial', 'failed')),
    last_error      text        NOT NULL DEFAULT '',
    counts          jsonb       NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, kind)
);
COMMENT ON TABLE feed_state IS 'owner: modules/enhancement/feed. How far our copies of the desk''s data have come.';
COMMENT ON COLUMN feed_state.since IS 'nothing before this is looked at';
COMMENT ON COLUMN feed_state.cursor_at IS 'everything up to this time, by the desk''s clock, has been looked at';
COMMENT ON COLUMN feed_state.lease IS 'the run that holds the feed until lease_until; its token fences a run that was presumed dead';
ALTER TABLE feed_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE feed_state FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON feed_state
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));
