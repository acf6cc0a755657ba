ALTER TABLE enhancement_history DROP COLUMN error_code;
DROP INDEX enhancement_history_failed;
DROP INDEX enhancement_history_ticket;
CREATE INDEX enhancement_history_recent ON enhancement_history (tenant_id, created_at DESC, id);
DROP INDEX enhancement_history_statistics;
