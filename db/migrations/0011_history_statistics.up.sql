-- What operators ask for: counts of a span of time without touching rows, and lists that go on where the last page ended.
-- reviewed: index enhancement_history.enhancement_history_statistics: made concurrently, so the table takes writes meanwhile
CREATE INDEX CONCURRENTLY enhancement_history_statistics ON enhancement_history (tenant_id, created_at, id)
    INCLUDE (event, status, outcome, processing_time_ms);
