-- One row a delivery that was accepted. For a delivery that asks for a note, this row is the authority on how far the
-- work has come: stage says what is already paid for, epoch fences a worker that was presumed dead and is not.
CREATE TABLE enhancement_history (
    tenant_id          text        NOT NULL CHECK (tenant_id <> ''),
    id                 uuid        NOT NULL,
    event_key          bytea       NOT NULL,
    event              text        NOT NULL,
    ticket_id          text        NOT NULL,
    correlation_id     text        NOT NULL DEFAULT '',
    reference          text        NOT NULL,
    status             text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'failed')),
    stage              text        NOT NULL DEFAULT 'received'
                                   CHECK (stage IN ('received', 'gathered', 'synthesised', 'posting', 'posted', 'closed')),
    outcome            text        NOT NULL DEFAULT ''
                                   CHECK (outcome IN ('', 'note', 'facts_only', 'skipped', 'recorded', 'failed')),
    reason             text        NOT NULL DEFAULT '',
    epoch              bigint      NOT NULL DEFAULT 0,
    attempts           integer     NOT NULL DEFAULT 0,
    rerun              boolean     NOT NULL DEFAULT false,
    subject            text        NOT NULL DEFAULT '',
    description        text        NOT NULL DEFAULT '',
    priority           text        NOT NULL DEFAULT '',
    ticket_created_at  timestamptz,
    context_gathered   jsonb,
    llm_output         text,
    findings           jsonb,
    note_html          text,
    note_id            text        NOT NULL DEFAULT '',
    error_message      text,
    timings            jsonb       NOT NULL DEFAULT '{}',
    processing_time_ms integer,
    created_at         timestamptz NOT NULL DEFAULT now(),
    started_at         timestamptz,
    completed_at       timestamptz,
    PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE enhancement_history IS 'owner: modules/enhancement. One row a delivery; the authority on its state.';
CREATE UNIQUE INDEX enhancement_history_delivery ON enhancement_history (tenant_id, event_key);
-- One note a ticket: a second delivery about the same ticket, under another key, is recorded and skipped.
CREATE UNIQUE INDEX enhancement_history_one_note_a_ticket ON enhancement_history (tenant_id, ticket_id)
    WHERE event = 'ticket_created' AND status <> 'failed' AND outcome <> 'skipped';
CREATE INDEX enhancement_history_pending ON enhancement_history (tenant_id, created_at) WHERE status = 'pending';
CREATE INDEX enhancement_history_recent ON enhancement_history (tenant_id, created_at DESC, id);
ALTER TABLE enhancement_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE enhancement_history FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON enhancement_history
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));

-- One row a call of a model, whatever came of it: tokens are facts, cost is computed with the price of the day.
CREATE TABLE model_calls (
    tenant_id         text        NOT NULL CHECK (tenant_id <> ''),
    enhancement_id    uuid        NOT NULL,
    id                uuid        NOT NULL DEFAULT gen_random_uuid(),
    model             text        NOT NULL,
    outcome           text        NOT NULL,
    prompt_tokens     integer     NOT NULL DEFAULT 0,
    cached_tokens     integer     NOT NULL DEFAULT 0,
    completion_tokens integer     NOT NULL DEFAULT 0,
    cost_usd          double precision NOT NULL DEFAULT 0,
    price_date        text        NOT NULL DEFAULT '',
    duration_ms       integer     NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, enhancement_id, id),
    FOREIGN KEY (tenant_id, enhancement_id) REFERENCES enhancement_history (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX model_calls_by_time ON model_calls (tenant_id, created_at);
COMMENT ON TABLE model_calls IS 'owner: modules/enhancement. Tokens, time and cost of every call of a model.';
ALTER TABLE model_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_calls FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON model_calls
    USING (tenant_id = current_setting('app.current_tenant_id', true))
    WITH CHECK (tenant_id = current_setting('app.current_tenant_id', true));
