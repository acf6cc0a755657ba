-- The failures, which are few among many.
-- reviewed: index enhancement_history.enhancement_history_failed: made concurrently, so the table takes writes meanwhile
CREATE INDEX CONCURRENTLY enhancement_history_failed ON enhancement_history (tenant_id, created_at, id) WHERE status = 'failed';
