-- What operators ask for: counts of a span of time without touching rows, lists that go on where the last page ended, one
-- ticket's history. The first replaces enhancement_history_recent, so that writing costs no more than before.
CREATE INDEX enhancement_history_statistics ON enhancement_history (tenant_id, created_at, id)
    INCLUDE (event, status, outcome, processing_time_ms);
DROP INDEX enhancement_history_recent;
CREATE INDEX enhancement_history_ticket ON enhancement_history (tenant_id, ticket_id, created_at);
CREATE INDEX enhancement_history_failed ON enhancement_history (tenant_id, created_at, id) WHERE status = 'failed';
-- Why a run waits or failed, as a stable code beside the text, so that an interface can say what to do about it.
ALTER TABLE enhancement_history ADD COLUMN error_code text NOT NULL DEFAULT '';
