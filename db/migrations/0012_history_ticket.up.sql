-- One ticket's history.
-- reviewed: index enhancement_history.enhancement_history_ticket: made concurrently, so the table takes writes meanwhile
CREATE INDEX CONCURRENTLY enhancement_history_ticket ON enhancement_history (tenant_id, ticket_id, created_at);
